# What one apply makes. Applied to a provider that is mocked, so that what it computes is known.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project         = "acme-errors"
  region          = "europe-west3"
  database_region = "eu-central-1"
  archive         = "./tests/installation.tftest.hcl" # any file
  smtp_from       = "Mesher <mesher@example.com>"
  alert_emails    = ["ops@example.com"]
  secret_values   = {}
}

run "functions" {
  assert {
    condition     = toset(keys(module.function)) == toset(keys(jsondecode(file("contract.json")).functions))
    error_message = "The functions are not the entry points of the source."
  }

  assert {
    condition     = length(setsubtract([for job in jsondecode(file("contract.json")).schedule : job.function if contains(keys(module.function), job.function)], keys(module.schedule))) == 0
    error_message = "A function of the schedule has no job."
  }

  assert {
    condition = alltrue([for name, job in module.schedule :
      job.name == one([for n, j in jsondecode(file("contract.json")).schedule : n if j.function == name])
    ])
    error_message = "A job is not called as the schedule calls it."
  }

  assert {
    condition     = length(output.urls) == 3 && toset(keys(output.urls)) == toset(["API", "Auth", "Ingest"])
    error_message = "Others than Ingest, Auth and API are public."
  }

  assert {
    condition     = output.dsn_host == "function-123456789012.europe-west3.run.app"
    error_message = "The DSN's host is not Ingest's."
  }

  assert {
    condition     = output.connections.most <= output.connections.allowed
    error_message = "The sizes of functions.tf do not fit the smallest database."
  }

  assert {
    condition     = local.environment["Notify"].AUTH_URL == "https://auth-123456789012.europe-west3.run.app"
    error_message = "Links in mails do not lead to Auth."
  }

  assert {
    condition     = alltrue([for name, env in local.environment : env.GOOGLE_CLOUD_PROJECT == "acme-errors" && !anytrue([for setting in keys(env) : contains(local.secret_settings, setting)])])
    error_message = "A function does not know its project, or is given a secret in plain sight."
  }

  assert {
    condition     = local.environment["Ingest"].PUBSUB_ENDPOINT == "europe-west3-pubsub.googleapis.com:443" && local.environment["Ingest"].INGEST_CONCURRENCY == "1000" && local.environment["Ingest"].INGEST_MEMORY == "134217728"
    error_message = "Ingest's settings do not follow from its region and size."
  }

  assert {
    condition     = local.secrets_of["Ingest"] == { DATABASE_URL = "DATABASE_URL_INGEST" } && local.secrets_of["Store"] == { DATABASE_URL = "DATABASE_URL_STORE" } && local.secrets_of["Notify"].DATABASE_URL == "DATABASE_URL_APP"
    error_message = "A function connects as a role that is not its own, or reads a secret that it has no use for."
  }
}

run "private_functions" {
  assert {
    condition     = alltrue([for name, f in jsondecode(file("contract.json")).functions : contains(local.public, name) == (f.trigger == "http")])
    error_message = "A function that only Pub/Sub or the scheduler calls is public, or one for everybody is not."
  }

  assert {
    condition     = alltrue([for name, f in module.function : (f.caller == null) == contains(local.public, name)])
    error_message = "A private function has nobody who may call it, or a public one has."
  }

  assert {
    condition     = keys(google_project_iam_member.jobs) == [for name, f in local.functions : name if f.jobs != ""]
    error_message = "Others than those that need it may touch the jobs."
  }
}

run "topics" {
  assert {
    condition     = toset([for t in google_pubsub_topic.this : t.name]) == toset(["events", "events-dead-letter", "notifications", "notifications-dead-letter"])
    error_message = "The topics are not events and notifications, each with its dead-letter topic."
  }

  assert {
    condition     = alltrue([for t in google_pubsub_topic.this : t.message_storage_policy[0].allowed_persistence_regions == toset(["europe-west3"]) && t.message_storage_policy[0].enforce_in_transit])
    error_message = "A topic is not pinned to the region."
  }

  assert {
    condition     = google_pubsub_topic.this["events"].message_retention_duration == "86400s"
    error_message = "Events cannot be delivered again for a day."
  }

  assert {
    condition     = length(setsubtract(["Ingest to events", "API to notifications", "Auth to notifications", "Notify to notifications"], keys(google_pubsub_topic_iam_member.publisher))) == 0
    error_message = "Somebody who publishes may not."
  }

  assert {
    condition     = [for key, m in google_pubsub_topic_iam_member.publisher : key if endswith(key, " to events")] == ["Ingest to events"]
    error_message = "Others than Ingest may publish events."
  }
}

run "budget_and_deployer" {
  variables {
    budget   = { billing_account = "012345-6789AB-CDEF01", amount = 50 }
    deployer = { repository = "acme/errors" }
  }

  assert {
    condition     = google_billing_budget.this[0].amount[0].specified_amount[0].units == "50" && length(google_billing_budget.this[0].all_updates_rule[0].monitoring_notification_channels) == 1
    error_message = "The budget is not what was asked for, or tells nobody."
  }

  assert {
    condition     = google_iam_workload_identity_pool_provider.ci[0].attribute_condition == "assertion.repository == 'acme/errors' && assertion.ref == 'refs/heads/main'"
    error_message = "Others than the repository's branch may deploy."
  }

  assert {
    condition     = !anytrue([for role in keys(google_project_iam_member.deployer) : contains(["roles/owner", "roles/editor", "roles/viewer"], role)])
    error_message = "The deployer has a primitive role."
  }

  assert {
    condition     = contains(keys(google_project_service.this), "sts.googleapis.com") && contains(keys(google_project_service.this), "billingbudgets.googleapis.com")
    error_message = "An API that is needed is not enabled."
  }
}

run "without_them" {
  assert {
    condition     = length(google_billing_budget.this) == 0 && length(google_project_iam_member.deployer) == 0 && output.deployer == null
    error_message = "Nobody asked for a budget or a deployer."
  }
}

# A secret's new number makes a new version, and takes its value from the variable that is never kept.
run "rotation" {
  variables {
    secret_versions = { DATABASE_URL_APP = 2 }
    secret_values   = { DATABASE_URL_APP = "postgresql://mesher_app.ref:pw@aws-0-eu-central-1.pooler.supabase.com:6543/postgres?sslmode=verify-full" }
  }

  assert {
    condition     = google_secret_manager_secret_version.this["DATABASE_URL_APP"].secret_data_wo_version == "2" && google_secret_manager_secret_version.this["DATABASE_URL_STORE"].secret_data_wo_version == "1"
    error_message = "The number of a secret does not arrive."
  }
}
