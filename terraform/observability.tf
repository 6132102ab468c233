module "observability" {
  source = "./modules/observability"

  project = var.project
  labels  = var.labels
  emails  = var.alert_emails

  functions     = { for name, f in local.functions : name => { service = f.service, public = f.public } }
  addresses     = { for name in local.public : name => module.function[name].uri }
  subscriptions = { for topic, s in module.subscription : topic => { name = s.name, hold = s.hold } }
  jobs          = { for name, job in local.scheduled : job.name => { period = job.period_seconds, deadline = job.deadline_seconds } }
  uptime_checks = var.uptime_checks

  depends_on = [google_project_service.this]
}

resource "google_billing_budget" "this" {
  count = var.budget == null ? 0 : 1

  billing_account = var.budget.billing_account
  display_name    = "Mesher in ${var.project}"

  budget_filter {
    projects = ["projects/${data.google_project.this.number}"]
  }
  amount {
    specified_amount {
      units = tostring(var.budget.amount)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
  # What the month will come to, by what it came to so far.
  threshold_rules {
    threshold_percent = 1.0
    spend_basis       = "FORECASTED_SPEND"
  }

  all_updates_rule {
    monitoring_notification_channels = module.observability.channels
  }

  depends_on = [google_project_service.this]
}
