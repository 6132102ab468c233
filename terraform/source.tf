# What is deployed: the archive that `make package` wrote, and who builds it.

resource "google_storage_bucket" "source" {
  project  = var.project
  name     = "${var.project}-source"
  location = var.region
  labels   = var.labels

  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  # All of it can be made again.
  force_destroy = true

  depends_on = [google_project_service.this]
}

resource "google_storage_bucket_object" "source" {
  bucket = google_storage_bucket.source.name
  # Named by what is in it: a changed archive is another object, which is what has the functions built again, and an
  # unchanged one changes nothing.
  name   = "mesher-${filesha256(var.archive)}.zip"
  source = var.archive

  lifecycle {
    # The one before stays until nothing refers to it.
    create_before_destroy = true
  }
}

resource "google_artifact_registry_repository" "images" {
  project       = var.project
  location      = var.region
  repository_id = "functions"
  description   = "Images that the functions are built into."
  format        = "DOCKER"
  labels        = var.labels

  cleanup_policies {
    id     = "old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }
  # Keeping wins over deleting: there is something to go back to, however old.
  cleanup_policies {
    id     = "recent"
    action = "KEEP"
    most_recent_versions {
      keep_count = 3
    }
  }

  depends_on = [google_project_service.this]
}

# Builds run as this account, not as the project's default one, which is an editor of everything.
resource "google_service_account" "builder" {
  project      = var.project
  account_id   = "builder"
  display_name = "Builds the functions"

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "builder" {
  project = var.project
  role    = "roles/logging.logWriter"
  member  = google_service_account.builder.member
}

resource "google_artifact_registry_repository_iam_member" "builder" {
  project    = var.project
  location   = var.region
  repository = google_artifact_registry_repository.images.name
  role       = "roles/artifactregistry.writer"
  member     = google_service_account.builder.member
}

resource "google_storage_bucket_iam_member" "builder" {
  bucket = google_storage_bucket.source.name
  role   = "roles/storage.objectViewer"
  member = google_service_account.builder.member
}

# Cloud Functions copies the archive to a bucket that it makes itself, with this name, and builds from there.
resource "google_project_iam_member" "builder_staging" {
  project = var.project
  role    = "roles/storage.objectViewer"
  member  = google_service_account.builder.member

  condition {
    title      = "staged source only"
    expression = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${data.google_project.this.number}-${var.region}\")"
  }
}
