# Is it there, seen from outside? Auth and API look at the database for that; Ingest takes events without it.
resource "google_monitoring_uptime_check_config" "health" {
  for_each = var.uptime_checks ? toset([for name, f in var.functions : name if f.public]) : toset([])

  project      = var.project
  display_name = "Health of ${each.value}"
  timeout      = "30s" # an instance may have to start
  period       = "300s"
  user_labels  = var.labels
  # Three is the least; each starts an instance where there is none.
  selected_regions = ["EUROPE", "USA_VIRGINIA", "ASIA_PACIFIC"]

  http_check {
    path         = "/health"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    type = "uptime_url"
    labels = {
      project_id = var.project
      host       = split("/", trimprefix(var.addresses[each.value], "https://"))[0]
    }
  }
}
