# What the provider would compute, in forms that it accepts back: random words would be refused as ids.

mock_data "google_project" {
  defaults = {
    number = "123456789012"
  }
}

mock_resource "google_service_account" {
  defaults = {
    name   = "projects/acme-errors/serviceAccounts/someone@acme-errors.iam.gserviceaccount.com"
    email  = "someone@acme-errors.iam.gserviceaccount.com"
    member = "serviceAccount:someone@acme-errors.iam.gserviceaccount.com"
  }
}

mock_resource "google_cloudfunctions2_function" {
  defaults = {
    service_config = {
      uri = "https://function-123456789012.europe-west3.run.app"
    }
  }
}

mock_resource "google_pubsub_topic" {
  defaults = {
    id = "projects/acme-errors/topics/some-topic"
  }
}

mock_resource "google_secret_manager_secret" {
  defaults = {
    id = "projects/acme-errors/secrets/some-secret"
  }
}

mock_resource "google_secret_manager_secret_version" {
  defaults = {
    version = "1"
  }
}

mock_resource "google_artifact_registry_repository" {
  defaults = {
    id = "projects/acme-errors/locations/europe-west3/repositories/functions"
  }
}

mock_resource "google_project_iam_custom_role" {
  defaults = {
    name = "projects/acme-errors/roles/mesher.someRole"
  }
}

mock_resource "google_iam_workload_identity_pool" {
  defaults = {
    name = "projects/123456789012/locations/global/workloadIdentityPools/github"
  }
}

mock_resource "google_monitoring_notification_channel" {
  defaults = {
    id = "projects/acme-errors/notificationChannels/1"
  }
}
