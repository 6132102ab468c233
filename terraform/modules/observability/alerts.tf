resource "google_monitoring_notification_channel" "email" {
  for_each = toset(var.emails)

  project      = var.project
  display_name = each.value
  type         = "email"
  labels       = { email_address = each.value }
  user_labels  = var.labels
}

locals {
  services = [for f in values(var.functions) : f.service]
  public   = [for f in values(var.functions) : f.service if f.public]
  seldom   = [for name, job in var.jobs : name if job.period > 60]
  often    = [for name, job in var.jobs : name if job.period <= 60]

  # one_of of Monitoring's filters.
  pushed = "one_of(${join(",", [for s in values(var.subscriptions) : "\"${s.name}\""])})"
  held   = "one_of(${join(",", [for s in values(var.subscriptions) : "\"${s.hold}\""])})"

  # Each alert: what is measured (filter, and below it what it is divided by), how it is brought together (aligner over
  # window seconds, reducer, by labels), above what it alerts when that lasts (seconds), and what to do about it.
  alerts = merge(
    {
      backlog = {
        title    = "Messages wait to be taken"
        filter   = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\" AND resource.labels.subscription_id=${local.pushed}"
        aligner  = "ALIGN_MAX", window = 60, reducer = "REDUCE_MAX", by = ["resource.label.subscription_id"]
        above    = 120, lasts = 300
        severity = "CRITICAL"
        todo     = "Store or Notify does not keep up, or the database is away. Nothing is lost: look at the function's errors and latency, then at the database."
      }
      dead_letters = {
        title    = "Messages were given up"
        filter   = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\" AND resource.labels.subscription_id=${local.pushed}"
        aligner  = "ALIGN_DELTA", window = 300, reducer = "REDUCE_SUM", by = ["resource.label.subscription_id"]
        above    = 0, lasts = 0
        severity = "CRITICAL"
        todo     = "A hundred deliveries failed, which takes an hour and a half. The hold subscription tries again every ten minutes for 31 days: end the outage, and they are stored."
      }
      held = {
        title    = "Messages that were given up are still not taken"
        filter   = "resource.type=\"pubsub_subscription\" AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\" AND resource.labels.subscription_id=${local.held}"
        aligner  = "ALIGN_MAX", window = 300, reducer = "REDUCE_MAX", by = ["resource.label.subscription_id"]
        above    = 0, lasts = 3600
        severity = "WARNING"
        todo     = "The function refuses them although it is back, or it is not back. Its log says why; after 31 days they are lost."
      }
      errors = {
        title    = "Requests fail"
        filter   = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"5xx\""
        of       = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_count\""
        aligner  = "ALIGN_RATE", window = 300, reducer = "REDUCE_SUM", by = ["resource.label.service_name"]
        above    = 0.05, lasts = 300
        severity = "ERROR"
        todo     = "Over 5 % of a function's requests are answered 5xx. Its log has one line for each, with a code and the cause."
      }
      latency = {
        title    = "Requests are slow"
        filter   = "resource.type=\"cloud_run_revision\" AND metric.type=\"run.googleapis.com/request_latencies\" AND resource.labels.service_name=one_of(${join(",", [for s in local.public : "\"${s}\""])})"
        aligner  = "ALIGN_DELTA", window = 300, reducer = "REDUCE_PERCENTILE_95", by = ["resource.label.service_name"]
        above    = 2000, lasts = 600
        severity = "WARNING"
        todo     = "One request in twenty takes over 2 s. Ingest: is Pub/Sub slow, are there enough instances? Auth, API: the database."
      }
      put_aside = {
        title    = "Events were put aside"
        filter   = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.logged["put_aside"].name}\""
        aligner  = "ALIGN_DELTA", window = 300, reducer = "REDUCE_SUM", by = []
        above    = 0, lasts = 0
        severity = "ERROR"
        todo     = "They are in the table dead_letters, with the reason and all their bytes."
      }
      given_up = {
        title    = "Notifications were given up"
        filter   = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.logged["given_up"].name}\""
        aligner  = "ALIGN_DELTA", window = 300, reducer = "REDUCE_SUM", by = []
        above    = 0, lasts = 0
        severity = "ERROR"
        todo     = "mesher notifications lists them with the reason; -retry sends one again."
      }
    },
    length(local.seldom) == 0 ? {} : {
      jobs_seldom = {
        title    = "A job failed"
        filter   = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.logged["job_failed"].name}\" AND metric.labels.job=one_of(${join(",", [for j in local.seldom : "\"${j}\""])})"
        aligner  = "ALIGN_DELTA", window = 3600, reducer = "REDUCE_SUM", by = ["metric.label.job"]
        above    = 0, lasts = 0
        severity = "ERROR"
        todo     = "The table job_runs has its summary, the function's log the cause. The next run makes up for it."
      }
      partitions = {
        title    = "Days ahead lack partitions"
        filter   = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.logged["partition_missing"].name}\""
        aligner  = "ALIGN_DELTA", window = 3600, reducer = "REDUCE_SUM", by = []
        above    = 0, lasts = 0
        severity = "ERROR"
        todo     = "Store made a partition in the middle of storing, which is slow: Partitions does not run, or fails."
      }
    },
    length(local.often) == 0 ? {} : {
      jobs_often = {
        title    = "A job keeps failing"
        filter   = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.logged["job_failed"].name}\" AND metric.labels.job=one_of(${join(",", [for j in local.often : "\"${j}\""])})"
        aligner  = "ALIGN_DELTA", window = 900, reducer = "REDUCE_SUM", by = ["metric.label.job"]
        above    = 3, lasts = 0
        severity = "ERROR"
        todo     = "It runs every minute, so one failure means little; these are several. The function's log has the cause."
      }
    },
    length(var.jobs) == 0 ? {} : {
      calls = {
        title    = "Jobs are called in vain"
        filter   = "resource.type=\"cloud_scheduler_job\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.call_failed.name}\""
        aligner  = "ALIGN_DELTA", window = 900, reducer = "REDUCE_SUM", by = ["resource.label.job_id"]
        above    = 2, lasts = 0
        severity = "ERROR"
        todo     = "Cloud Scheduler gets no good answer: may it still call the function, does that start, does it end in time?"
      }
    },
    !var.uptime_checks ? {} : {
      uptime = {
        title    = "A function is not well"
        filter   = "resource.type=\"uptime_url\" AND metric.type=\"monitoring.googleapis.com/uptime_check/check_passed\" AND metric.labels.check_id=one_of(${join(",", [for c in google_monitoring_uptime_check_config.health : "\"${c.uptime_check_id}\""])})"
        aligner  = "ALIGN_NEXT_OLDER", window = 1200, reducer = "REDUCE_COUNT_FALSE", by = ["resource.label.host"]
        above    = 1, lasts = 60
        severity = "CRITICAL"
        todo     = "GET /health of that function is not answered 200, seen from more than one place; the answer says why."
      }
    },
  )
}

resource "google_monitoring_alert_policy" "above" {
  for_each = local.alerts

  project      = var.project
  display_name = "Mesher: ${each.value.title}"
  combiner     = "OR"
  severity     = each.value.severity
  user_labels  = var.labels

  conditions {
    display_name = each.value.title
    condition_threshold {
      filter             = each.value.filter
      denominator_filter = try(each.value.of, null)
      comparison         = "COMPARISON_GT"
      threshold_value    = each.value.above
      duration           = "${each.value.lasts}s"

      aggregations {
        alignment_period     = "${each.value.window}s"
        per_series_aligner   = each.value.aligner
        cross_series_reducer = each.value.reducer
        group_by_fields      = each.value.by
      }
      dynamic "denominator_aggregations" {
        for_each = can(each.value.of) ? [true] : []
        content {
          alignment_period     = "${each.value.window}s"
          per_series_aligner   = each.value.aligner
          cross_series_reducer = each.value.reducer
          group_by_fields      = each.value.by
        }
      }
    }
  }

  documentation {
    content   = each.value.todo
    mime_type = "text/markdown"
  }
  notification_channels = [for c in google_monitoring_notification_channel.email : c.id]
}

# A job that does not run writes no line that could be counted, so its silence is what tells.
resource "google_monitoring_alert_policy" "silent" {
  count = length(var.jobs) == 0 ? 0 : 1

  project      = var.project
  display_name = "Mesher: A job does not run"
  combiner     = "OR"
  severity     = "ERROR"
  user_labels  = var.labels

  dynamic "conditions" {
    for_each = var.jobs
    content {
      display_name = conditions.key
      condition_absent {
        filter = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.logged["job_done"].name}\" AND metric.labels.job=\"${conditions.key}\""
        # Twice its period and a run. Monitoring looks back for less than a day.
        duration = "${min(max(2 * conditions.value.period + conditions.value.deadline, 300), 84600)}s"
        aggregations {
          alignment_period     = "60s"
          per_series_aligner   = "ALIGN_DELTA"
          cross_series_reducer = "REDUCE_SUM"
        }
      }
    }
  }

  documentation {
    content   = "It has not ended a run for twice its period. Is it paused, may the scheduler call the function, does that start?"
    mime_type = "text/markdown"
  }
  notification_channels = [for c in google_monitoring_notification_channel.email : c.id]
}

# The fewest days ahead that a run reported: below two, tomorrow night is near.
resource "google_monitoring_alert_policy" "horizon" {
  count = contains(keys(var.jobs), "partitions") ? 1 : 0

  project      = var.project
  display_name = "Mesher: Partitions run out"
  combiner     = "OR"
  severity     = "CRITICAL"
  user_labels  = var.labels

  conditions {
    display_name = "Days ahead with partitions"
    condition_threshold {
      filter          = "resource.type=\"cloud_run_revision\" AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.horizon.name}\""
      comparison      = "COMPARISON_LT"
      threshold_value = 2
      duration        = "0s"
      aggregations {
        alignment_period     = "3600s"
        per_series_aligner   = "ALIGN_DELTA"
        cross_series_reducer = "REDUCE_PERCENTILE_05"
      }
    }
  }

  documentation {
    content   = "Partitions runs but does not get ahead: its summary in job_runs says what failed. Store makes a missing partition itself, but slowly."
    mime_type = "text/markdown"
  }
  notification_channels = [for c in google_monitoring_notification_channel.email : c.id]
}
