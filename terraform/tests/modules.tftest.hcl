# What each module makes of what it is given, at the places where a mistake would be costly.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project = "acme-errors"
  region  = "europe-west3"
}

run "subscription" {
  module {
    source = "./modules/subscription"
  }
  variables {
    name         = "store"
    topic        = { id = "projects/acme-errors/topics/events", name = "events" }
    dead_letter  = { id = "projects/acme-errors/topics/events-dead-letter", name = "events-dead-letter" }
    endpoint     = "https://store-123456789012.europe-west3.run.app"
    caller       = "call-store@acme-errors.iam.gserviceaccount.com"
    agent        = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    ack_deadline = 60
  }

  assert {
    condition     = google_pubsub_subscription.push.enable_message_ordering && google_pubsub_subscription.push.ack_deadline_seconds == 60
    error_message = "Messages are not pushed in order, or there is another deadline."
  }

  assert {
    condition     = google_pubsub_subscription.push.dead_letter_policy[0].dead_letter_topic == "projects/acme-errors/topics/events-dead-letter" && google_pubsub_subscription.push.dead_letter_policy[0].max_delivery_attempts == 100
    error_message = "What cannot be delivered is not given up to the dead-letter topic after 100 attempts."
  }

  assert {
    condition     = google_pubsub_subscription.push.retry_policy[0].minimum_backoff == "1s" && google_pubsub_subscription.push.retry_policy[0].maximum_backoff == "60s"
    error_message = "Failed messages do not come again after 1 to 60 seconds."
  }

  assert {
    condition     = alltrue([for s in [google_pubsub_subscription.push, google_pubsub_subscription.hold] : s.expiration_policy[0].ttl == "" && s.message_retention_duration == "2678400s"])
    error_message = "A subscription is deleted when nothing happens for a while, or keeps messages for less than it can."
  }

  assert {
    condition     = alltrue([for s in [google_pubsub_subscription.push, google_pubsub_subscription.hold] : s.push_config[0].oidc_token[0].service_account_email == var.caller && s.push_config[0].oidc_token[0].audience == var.endpoint])
    error_message = "Pushes do not come as the one who may call the function."
  }

  assert {
    condition     = google_pubsub_subscription.hold.name == "events-dead-letter-hold" && google_pubsub_subscription.hold.retry_policy[0].minimum_backoff == "600s" && length(google_pubsub_subscription.hold.dead_letter_policy) == 0
    error_message = "What was given up is not held and tried again, slowly and for as long as it takes."
  }

  assert {
    condition     = google_pubsub_topic_iam_member.agent.role == "roles/pubsub.publisher" && google_pubsub_topic_iam_member.agent.topic == "events-dead-letter" && google_pubsub_subscription_iam_member.agent.role == "roles/pubsub.subscriber" && google_pubsub_subscription_iam_member.agent.subscription == "store"
    error_message = "Pub/Sub may not give messages up."
  }
}

run "private_function" {
  module {
    source = "./modules/function"
  }
  variables {
    name          = "store"
    entry_point   = "Store"
    description   = "stores"
    runtime       = "go126"
    archive       = { bucket = "b", object = "o.zip" }
    builder       = "projects/acme-errors/serviceAccounts/builder@acme-errors.iam.gserviceaccount.com"
    repository    = "projects/acme-errors/locations/europe-west3/repositories/functions"
    memory        = 512
    cpu           = 1
    concurrency   = 80
    timeout       = 60
    min_instances = 0
    max_instances = 10
    public        = false
    environment   = { GOOGLE_CLOUD_PROJECT = "acme-errors" }
    secrets       = { DATABASE_URL = { id = "database-url-store", version = "3" } }
  }

  assert {
    condition     = google_cloudfunctions2_function.this.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY" && google_cloud_run_v2_service_iam_member.invoker.member != "allUsers"
    error_message = "A private function can be called from outside."
  }

  assert {
    condition     = google_cloud_run_v2_service_iam_member.invoker.role == "roles/run.invoker" && google_cloud_run_v2_service_iam_member.invoker.name == "store"
    error_message = "The caller may not call the function's service."
  }

  assert {
    condition     = google_service_account.this.account_id == "fn-store" && google_service_account.caller[0].account_id == "call-store"
    error_message = "The function has no accounts of its own."
  }

  assert {
    condition     = [for s in google_cloudfunctions2_function.this.service_config[0].secret_environment_variables : "${s.key}=${s.secret}@${s.version}"] == ["DATABASE_URL=database-url-store@3"]
    error_message = "The function does not get its secret, by its number."
  }

  assert {
    condition     = google_secret_manager_secret_iam_member.this["DATABASE_URL"].role == "roles/secretmanager.secretAccessor" && google_secret_manager_secret_iam_member.this["DATABASE_URL"].secret_id == "database-url-store"
    error_message = "The function may not read its secret, or more than it."
  }

  assert {
    condition     = google_cloudfunctions2_function.this.build_config[0].entry_point == "Store" && google_cloudfunctions2_function.this.service_config[0].max_instance_request_concurrency == 80 && google_cloudfunctions2_function.this.service_config[0].available_memory == "512Mi"
    error_message = "The function is not what was asked for."
  }
}

run "public_function" {
  module {
    source = "./modules/function"
  }
  variables {
    name          = "ingest"
    entry_point   = "Ingest"
    description   = "takes events"
    runtime       = "go126"
    archive       = { bucket = "b", object = "o.zip" }
    builder       = "projects/acme-errors/serviceAccounts/builder@acme-errors.iam.gserviceaccount.com"
    repository    = "projects/acme-errors/locations/europe-west3/repositories/functions"
    memory        = 512
    cpu           = 1
    concurrency   = 1000
    timeout       = 60
    min_instances = 0
    max_instances = 10
    public        = true
    environment   = {}
    secrets       = {}
  }

  assert {
    condition     = google_cloudfunctions2_function.this.service_config[0].ingress_settings == "ALLOW_ALL" && google_cloud_run_v2_service_iam_member.invoker.member == "allUsers" && length(google_service_account.caller) == 0
    error_message = "A public function cannot be called by everybody."
  }
}

run "schedule" {
  module {
    source = "./modules/schedule"
  }
  variables {
    name     = "retention"
    doc      = "removes"
    cron     = "40 * * * *"
    period   = 3600
    deadline = 600
    endpoint = "https://retention-123456789012.europe-west3.run.app"
    caller   = "call-retention@acme-errors.iam.gserviceaccount.com"
  }

  assert {
    condition     = google_cloud_scheduler_job.this.http_target[0].uri == "${var.endpoint}/" && google_cloud_scheduler_job.this.http_target[0].http_method == "POST" && google_cloud_scheduler_job.this.http_target[0].oidc_token[0].audience == var.endpoint
    error_message = "The job does not post to the function's root as the one who may."
  }

  assert {
    condition     = google_cloud_scheduler_job.this.attempt_deadline == "600s" && google_cloud_scheduler_job.this.time_zone == "Etc/UTC" && google_cloud_scheduler_job.this.retry_config[0].retry_count == 3
    error_message = "The job has another deadline or time zone, or is not tried again."
  }
}

run "every_minute" {
  module {
    source = "./modules/schedule"
  }
  variables {
    name     = "probe"
    doc      = "looks"
    cron     = "* * * * *"
    period   = 60
    deadline = 120
    endpoint = "https://probe-123456789012.europe-west3.run.app"
    caller   = "call-probe@acme-errors.iam.gserviceaccount.com"
  }

  assert {
    condition     = google_cloud_scheduler_job.this.retry_config[0].retry_count == 0
    error_message = "What comes again in a minute is tried again besides."
  }
}

run "observability" {
  module {
    source = "./modules/observability"
  }
  variables {
    emails        = ["ops@example.com"]
    functions     = { Ingest = { service = "ingest", public = true }, Store = { service = "store", public = false } }
    addresses     = { Ingest = "https://ingest-123456789012.europe-west3.run.app" }
    subscriptions = { events = { name = "store", hold = "events-dead-letter-hold" } }
    jobs          = { partitions = { period = 21600, deadline = 300 }, probe = { period = 60, deadline = 120 } }
    uptime_checks = true
  }

  assert {
    condition     = length(setsubtract(["backlog", "dead_letters", "held", "errors", "latency", "jobs_seldom", "jobs_often", "calls", "partitions", "uptime", "put_aside", "given_up"], keys(google_monitoring_alert_policy.above))) == 0
    error_message = "An alert is missing."
  }

  assert {
    condition     = strcontains(google_monitoring_alert_policy.above["backlog"].conditions[0].condition_threshold[0].filter, "oldest_unacked_message_age") && google_monitoring_alert_policy.above["backlog"].conditions[0].condition_threshold[0].threshold_value == 120
    error_message = "A backlog of two minutes alerts nobody."
  }

  assert {
    condition     = alltrue([for p in google_monitoring_alert_policy.above : p.notification_channels != null && length(p.notification_channels) == 1 && length(p.documentation[0].content) > 20])
    error_message = "An alert tells nobody, or not what to do."
  }

  assert {
    condition     = length(google_monitoring_alert_policy.above["errors"].conditions[0].condition_threshold[0].denominator_aggregations) == 1 && length(google_monitoring_alert_policy.above["latency"].conditions[0].condition_threshold[0].denominator_aggregations) == 0
    error_message = "The share of failures is not a share, or another number is one."
  }

  assert {
    condition     = [for c in google_monitoring_alert_policy.silent[0].conditions : c.condition_absent[0].duration] == ["43500s", "300s"]
    error_message = "A job may be silent for longer than twice its period."
  }

  assert {
    condition     = keys(google_monitoring_uptime_check_config.health) == ["Ingest"] && google_monitoring_uptime_check_config.health["Ingest"].monitored_resource[0].labels["host"] == "ingest-123456789012.europe-west3.run.app"
    error_message = "Not exactly the public functions are asked for their health."
  }

  assert {
    condition     = length(jsondecode(google_monitoring_dashboard.this.dashboard_json).gridLayout.widgets) >= 12
    error_message = "The dashboard lacks charts."
  }
}

# An installation before there are scheduled functions, and without checks from outside.
run "observability_of_less" {
  module {
    source = "./modules/observability"
  }
  variables {
    emails        = ["ops@example.com", "oncall@example.com"]
    functions     = { Ingest = { service = "ingest", public = true } }
    addresses     = { Ingest = "https://ingest-123456789012.europe-west3.run.app" }
    subscriptions = { events = { name = "store", hold = "events-dead-letter-hold" } }
    jobs          = {}
    uptime_checks = false
  }

  assert {
    condition     = length(google_monitoring_uptime_check_config.health) == 0 && length(google_monitoring_alert_policy.silent) == 0 && length(output.channels) == 2
    error_message = "There are alerts about what is not there."
  }
}
