# One function: what it runs as, what it may read, and who may call it.

resource "google_service_account" "this" {
  project      = var.project
  account_id   = "fn-${var.name}"
  display_name = "Function ${var.entry_point}"
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = { for setting, secret in var.secrets : setting => secret.id }

  project   = var.project
  secret_id = each.value
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this.member
}

resource "google_cloudfunctions2_function" "this" {
  project     = var.project
  location    = var.region
  name        = var.name
  description = var.description
  labels      = var.labels

  build_config {
    runtime           = var.runtime
    entry_point       = var.entry_point
    service_account   = var.builder
    docker_repository = var.repository
    source {
      storage_source {
        bucket = var.archive.bucket
        object = var.archive.object
      }
    }
    # Fixes of the base image arrive without a deployment.
    automatic_update_policy {}
  }

  service_config {
    available_memory                 = "${var.memory}Mi"
    available_cpu                    = tostring(var.cpu)
    max_instance_request_concurrency = var.concurrency
    timeout_seconds                  = var.timeout
    min_instance_count               = var.min_instances
    max_instance_count               = var.max_instances
    service_account_email            = google_service_account.this.email
    # Pub/Sub and Cloud Scheduler of the same project are internal.
    ingress_settings               = var.public ? "ALLOW_ALL" : "ALLOW_INTERNAL_ONLY"
    all_traffic_on_latest_revision = true
    environment_variables          = var.environment

    dynamic "secret_environment_variables" {
      for_each = var.secrets
      content {
        project_id = var.project
        key        = secret_environment_variables.key
        secret     = secret_environment_variables.value.id
        version    = secret_environment_variables.value.version
      }
    }
  }

  # The first instance must be able to read its secrets.
  depends_on = [google_secret_manager_secret_iam_member.this]
}

# A private function has one caller, which can do nothing else.
resource "google_service_account" "caller" {
  count = var.public ? 0 : 1

  project      = var.project
  account_id   = "call-${var.name}"
  display_name = "Calls ${var.entry_point}"
}

# On the Cloud Run service, which has the function's name: Cloud Functions refuses this role.
resource "google_cloud_run_v2_service_iam_member" "invoker" {
  project  = var.project
  location = var.region
  name     = google_cloudfunctions2_function.this.name
  role     = "roles/run.invoker"
  member   = var.public ? "allUsers" : google_service_account.caller[0].member
}
