# What must not, or need not, be in the request logs. Metrics count these requests all the same.

# Cloud Run logs the whole address of a request: with the one-time token of a link in a mail, and with the API key that
# browsers send in the query.
resource "google_logging_project_exclusion" "secrets" {
  project     = var.project
  name        = "secrets-in-addresses"
  description = "Requests whose address holds a token or a key."
  filter      = <<-EOT
    resource.type="cloud_run_revision"
    log_id("run.googleapis.com/requests")
    httpRequest.requestUrl=~"[?&](token|api_key|sentry_key)="
  EOT

  depends_on = [google_project_service.this]
}

# A line for each event and each message would be a large part of the bill.
resource "google_logging_project_exclusion" "accepted" {
  count = var.request_log_share < 1 ? 1 : 0

  project     = var.project
  name        = "accepted-events"
  description = "All but a share of the successful requests of Ingest and Store."
  filter      = <<-EOT
    resource.type="cloud_run_revision"
    resource.labels.service_name=("${local.functions["Ingest"].service}" OR "${local.functions["Store"].service}")
    log_id("run.googleapis.com/requests")
    httpRequest.status<300
    sample(insertId, ${1 - var.request_log_share})
  EOT

  depends_on = [google_project_service.this]
}
