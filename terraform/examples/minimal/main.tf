# An installation. Copy this folder beside itself, as terraform/examples/production, or into a repository of your own with
#   source = "git::https://github.com/mesherhq/mesher.git//terraform?ref=<version>"
# and follow docs/deploying.md.

terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.0, < 8.0"
    }
  }

  # Which bucket stands in backend.hcl: terraform init -backend-config=backend.hcl
  backend "gcs" {}
}

provider "google" {
  project = var.project
  region  = var.region
  # Budgets are refused without a project that pays for asking.
  billing_project       = var.project
  user_project_override = true
}

module "mesher" {
  source = "../.."

  project         = var.project
  region          = var.region
  database_region = var.database_region
  archive         = var.archive

  smtp_from    = var.smtp_from
  alert_emails = var.alert_emails

  secret_values   = var.secret_values
  secret_versions = var.secret_versions
  settings        = var.settings
}
