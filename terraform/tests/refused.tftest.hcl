# What cannot work is refused when planning.

mock_provider "google" {
  source = "./tests/mocks"
}

variables {
  project         = "acme-errors"
  region          = "europe-west3"
  database_region = "eu-central-1"
  archive         = "./tests/refused.tftest.hcl" # any file
  smtp_from       = "Mesher <mesher@example.com>"
  alert_emails    = ["ops@example.com"]
}

run "more_connections_than_half_of_the_pooler" {
  command = plan
  variables {
    functions = { API = { instances = 40 } }
  }
  expect_failures = [var.pooler_clients]
}

run "as_many_connections_with_a_larger_pooler" {
  command = plan
  variables {
    functions      = { API = { instances = 40 } }
    pooler_clients = 400
  }
}

run "more_slots_of_store_count_as_connections" {
  command = plan
  variables {
    settings = { STORE_SLOTS = "8" }
  }
  expect_failures = [var.pooler_clients]
}

run "replay_for_longer_than_pubsub_keeps" {
  command = plan
  variables {
    replay_hours = 745
  }
  expect_failures = [var.replay_hours]
}

run "a_database_across_the_ocean" {
  command = plan
  variables {
    database_region = "us-east-1"
  }
  expect_failures = [var.database_region]
}

run "a_database_region_that_is_none" {
  command = plan
  variables {
    database_region = "frankfurt"
  }
  expect_failures = [var.database_region]
}

run "a_zone" {
  command = plan
  variables {
    region          = "europe-west3-a"
    database_region = ""
  }
  expect_failures = [var.region]
}

run "ingest_outruns_the_keys" {
  command = plan
  variables {
    settings = { INGEST_LINGER = "5ms", INGEST_SHARDS = "1" }
  }
  expect_failures = [terraform_data.rules]
}

run "store_takes_longer_than_a_message_may" {
  command = plan
  variables {
    settings = { STORE_TIMEOUT = "2m" }
  }
  expect_failures = [terraform_data.rules]
}

run "a_duration_that_is_none" {
  command = plan
  variables {
    settings = { INGEST_LINGER = "50" }
  }
  expect_failures = [terraform_data.rules]
}

run "a_setting_that_nobody_reads" {
  command = plan
  variables {
    settings = { INGEST_LINGERS = "5ms" }
  }
  expect_failures = [var.settings]
}

run "a_secret_in_plain_sight" {
  command = plan
  variables {
    settings = { SMTP_URL = "smtps://user:password@smtp.example.com:465" }
  }
  expect_failures = [var.settings]
}

run "one_pool_size_for_all" {
  command = plan
  variables {
    settings = { DATABASE_POOL_SIZE = "1" }
  }
  expect_failures = [var.settings]
}

run "a_function_that_is_none" {
  command = plan
  variables {
    functions = { Ingests = { memory = 512 } }
  }
  expect_failures = [var.functions]
}

run "less_than_a_cpu_for_many_requests" {
  command = plan
  variables {
    functions = { Notify = { cpu = 0.5 } }
  }
  expect_failures = [var.functions]
}

run "more_kept_instances_than_instances" {
  command = plan
  variables {
    functions = { Notify = { min_instances = 3 } }
  }
  expect_failures = [var.functions]
}

run "a_session_pooler" {
  command = plan
  variables {
    secret_values = { DATABASE_URL_APP = "postgresql://mesher_app.ref:pw@aws-0-eu-central-1.pooler.supabase.com:5432/postgres?sslmode=verify-full" }
  }
  expect_failures = [var.secret_values]
}

run "a_placeholder_for_a_password" {
  command = plan
  variables {
    secret_values = { DATABASE_URL_STORE = "postgresql://mesher_store.ref:PASSWORD@aws-0-eu-central-1.pooler.supabase.com:6543/postgres" }
  }
  expect_failures = [var.secret_values]
}

run "a_secret_that_is_none" {
  command = plan
  variables {
    secret_values = { DATABASE_URL = "postgresql://u:p@db.example.com/x" }
  }
  expect_failures = [var.secret_values]
}

run "a_seal_key_that_is_too_short" {
  command = plan
  variables {
    secret_values = { SEAL_KEY = "c2hvcnQ=" }
  }
  expect_failures = [var.secret_values]
}

run "a_number_of_a_secret_that_is_none" {
  command = plan
  variables {
    secret_versions = { DATABASE_URL = 2 }
  }
  expect_failures = [var.secret_versions]
}

run "an_archive_that_is_not_there" {
  command = plan
  variables {
    archive = "./nowhere.zip"
  }
  expect_failures = [var.archive]
}

run "nobody_to_alert" {
  command = plan
  variables {
    alert_emails = []
  }
  expect_failures = [var.alert_emails]
}

run "a_go_that_is_too_old" {
  command = plan
  variables {
    runtime = "go125"
  }
  expect_failures = [var.runtime]
}

run "links_that_lead_nowhere" {
  command = plan
  variables {
    auth_url = "http://auth.example.com"
  }
  expect_failures = [var.auth_url]
}

run "a_sender_that_is_none" {
  command = plan
  variables {
    smtp_from = "Mesher"
  }
  expect_failures = [var.smtp_from]
}
