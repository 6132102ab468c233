# What the functions log, counted. A test holds each message below against the source: nothing else would tell that a line
# that an alert waits for is not written any more.
locals {
  # By metric: the messages it counts, and labels that are taken from the line's own fields.
  logged = {
    put_aside = {
      about    = "Events and messages that can never be stored"
      messages = ["a message cannot be stored and is kept in dead_letters", "events cannot be stored and are kept in dead_letters"]
      labels   = {}
    }
    given_up = {
      about    = "Notifications that could not be delivered"
      messages = ["a notification cannot be delivered and is given up"]
      labels   = {}
    }
    partition_missing = {
      about    = "Partitions that Store had to make because Partitions had not"
      messages = ["created a partition that was missing"]
      labels   = {}
    }
    job_failed = {
      about    = "Jobs, and steps of jobs, that failed"
      messages = ["a job failed", "a step of a job failed"]
      labels   = { job = "job" }
    }
    job_done = {
      about    = "Runs of jobs that came to their end, failed or not"
      messages = ["a job is done"]
      labels   = { job = "job" }
    }
  }
}

resource "google_logging_metric" "logged" {
  for_each = local.logged

  project     = var.project
  name        = "mesher/${each.key}"
  description = each.value.about
  filter      = <<-EOT
    resource.type="cloud_run_revision"
    jsonPayload.message=(${join(" OR ", [for m in each.value.messages : "\"${m}\""])})
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
    dynamic "labels" {
      for_each = each.value.labels
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }
  label_extractors = { for label, field in each.value.labels : label => "EXTRACT(jsonPayload.${field})" }
}

# For how many days ahead events have partitions, as each run of Partitions reports it: -1 if not even today.
resource "google_logging_metric" "horizon" {
  project         = var.project
  name            = "mesher/partition_horizon"
  description     = "Days ahead that have partitions"
  filter          = <<-EOT
    resource.type="cloud_run_revision"
    jsonPayload.message="a job is done"
    jsonPayload.job="partitions"
    jsonPayload.summary.report.days:*
  EOT
  value_extractor = "EXTRACT(jsonPayload.summary.report.days)"

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "DISTRIBUTION"
    unit        = "d"
  }
  bucket_options {
    linear_buckets {
      num_finite_buckets = 32
      width              = 1
      offset             = -1
    }
  }
}

# Calls of jobs that got no good answer, whoever's fault it was: these lines are Cloud Scheduler's own.
resource "google_logging_metric" "call_failed" {
  project     = var.project
  name        = "mesher/job_call_failed"
  description = "Calls of jobs that were not answered 2xx in time"
  filter      = <<-EOT
    resource.type="cloud_scheduler_job"
    severity>=ERROR
  EOT

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
  }
}
