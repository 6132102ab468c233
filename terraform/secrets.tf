# Secrets that the functions read. Their values come through an ephemeral variable into a write-only argument: neither
# state nor plan ever holds one. A value is sent when its number in var.secret_versions changes, or is new; otherwise
# var.secret_values may be empty, so that whoever deploys later, such as CI, need not know any.

resource "google_secret_manager_secret" "this" {
  for_each = local.secrets

  project   = var.project
  secret_id = lower(replace(each.value, "_", "-"))
  labels    = var.labels

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [google_project_service.this]
}

resource "google_secret_manager_secret_version" "this" {
  for_each = local.secrets

  secret                 = google_secret_manager_secret.this[each.value].id
  secret_data_wo         = lookup(var.secret_values, each.value, "")
  secret_data_wo_version = lookup(var.secret_versions, each.value, 1)

  # Functions name a version by its number, so that one changes only with a deployment, which can be gone back on. For
  # that the version before stays, also while instances still run with it.
  deletion_policy = "ABANDON"
  lifecycle {
    create_before_destroy = true
  }
}
