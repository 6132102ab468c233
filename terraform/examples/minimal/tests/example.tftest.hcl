# The example, as it is to be copied, makes an installation of its example values.

mock_provider "google" {
  source = "../../tests/mocks"
}

variables {
  project         = "acme-errors"
  region          = "europe-west3"
  database_region = "eu-central-1"
  smtp_from       = "Mesher <mesher@example.com>"
  alert_emails    = ["ops@example.com"]
  archive         = "./main.tf" # any file
  secret_values   = {}
}

run "works" {
  assert {
    condition     = toset(keys(output.urls)) == toset(["API", "Auth", "Ingest"]) && output.dsn_host != "" && strcontains(output.next_steps, "/v1/events")
    error_message = "The example does not say where the installation is."
  }
}

