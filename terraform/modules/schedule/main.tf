# One job: it posts to the root of its function whenever cron says so, in UTC.
resource "google_cloud_scheduler_job" "this" {
  project     = var.project
  region      = var.region
  name        = var.name
  description = var.doc
  schedule    = var.cron
  time_zone   = "Etc/UTC"

  # How long a run may take. The function stops well before.
  attempt_deadline = "${var.deadline}s"

  # A function answers with a failure only where trying again helps. What runs every minute is soon tried again anyway.
  retry_config {
    retry_count          = var.period > 60 ? 3 : 0
    min_backoff_duration = "30s"
    max_backoff_duration = "300s"
  }

  http_target {
    http_method = "POST"
    uri         = "${var.endpoint}/"
    oidc_token {
      service_account_email = var.caller
      audience              = var.endpoint
    }
  }
}
