locals {
  run     = "resource.type=\"cloud_run_revision\""
  queue   = "resource.type=\"pubsub_subscription\""
  service = ["resource.label.service_name"]
  pushes  = ["resource.label.subscription_id"]

  # Title, filter, how it is brought together, and by what; in the order in which an event meets them.
  charts = [
    ["Requests a second", "${local.run} AND metric.type=\"run.googleapis.com/request_count\"", "ALIGN_RATE", "REDUCE_SUM", concat(local.service, ["metric.label.response_code_class"])],
    ["Failed requests a second", "${local.run} AND metric.type=\"run.googleapis.com/request_count\" AND metric.labels.response_code_class=\"5xx\"", "ALIGN_RATE", "REDUCE_SUM", local.service],
    ["Latency, median (ms)", "${local.run} AND metric.type=\"run.googleapis.com/request_latencies\"", "ALIGN_DELTA", "REDUCE_PERCENTILE_50", local.service],
    ["Latency, 95 % (ms)", "${local.run} AND metric.type=\"run.googleapis.com/request_latencies\"", "ALIGN_DELTA", "REDUCE_PERCENTILE_95", local.service],
    ["Instances", "${local.run} AND metric.type=\"run.googleapis.com/container/instance_count\"", "ALIGN_MAX", "REDUCE_SUM", local.service],
    ["Memory, share of the limit", "${local.run} AND metric.type=\"run.googleapis.com/container/memory/utilizations\"", "ALIGN_DELTA", "REDUCE_PERCENTILE_95", local.service],
    ["Published messages a second", "resource.type=\"pubsub_topic\" AND metric.type=\"pubsub.googleapis.com/topic/send_message_operation_count\"", "ALIGN_RATE", "REDUCE_SUM", ["resource.label.topic_id"]],
    ["Oldest message that waits (s)", "${local.queue} AND metric.type=\"pubsub.googleapis.com/subscription/oldest_unacked_message_age\"", "ALIGN_MAX", "REDUCE_MAX", local.pushes],
    ["Messages that wait", "${local.queue} AND metric.type=\"pubsub.googleapis.com/subscription/num_undelivered_messages\"", "ALIGN_MAX", "REDUCE_SUM", local.pushes],
    ["Messages given up", "${local.queue} AND metric.type=\"pubsub.googleapis.com/subscription/dead_letter_message_count\"", "ALIGN_DELTA", "REDUCE_SUM", local.pushes],
    ["Events put aside", "${local.run} AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.logged["put_aside"].name}\"", "ALIGN_DELTA", "REDUCE_SUM", []],
    ["Runs of jobs", "${local.run} AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.logged["job_done"].name}\"", "ALIGN_DELTA", "REDUCE_SUM", ["metric.label.job"]],
    ["Failures of jobs", "${local.run} AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.logged["job_failed"].name}\"", "ALIGN_DELTA", "REDUCE_SUM", ["metric.label.job"]],
    ["Days ahead with partitions", "${local.run} AND metric.type=\"logging.googleapis.com/user/${google_logging_metric.horizon.name}\"", "ALIGN_DELTA", "REDUCE_PERCENTILE_05", []],
  ]
}

resource "google_monitoring_dashboard" "this" {
  project = var.project
  dashboard_json = jsonencode({
    displayName = "Mesher"
    gridLayout = {
      columns = "2"
      widgets = [
        for chart in local.charts : {
          title = chart[0]
          xyChart = {
            dataSets = [{
              plotType = "LINE"
              timeSeriesQuery = {
                timeSeriesFilter = {
                  filter = chart[1]
                  aggregation = {
                    alignmentPeriod    = "60s"
                    perSeriesAligner   = chart[2]
                    crossSeriesReducer = chart[3]
                    groupByFields      = chart[4]
                  }
                }
              }
            }]
          }
        }
      ]
    }
  })
}
