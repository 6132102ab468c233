terraform {
  # 1.11: write-only arguments, which keep secrets out of the state and of plans.
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.0, < 8.0"
    }
  }
}
