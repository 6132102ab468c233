variable "project" {
  description = "Google Cloud project of the installation."
  type        = string
}

variable "region" {
  description = "Google Cloud region."
  type        = string
}

variable "database_region" {
  description = "Region of the Supabase project."
  type        = string
}

variable "archive" {
  description = "What make package wrote."
  type        = string
  default     = "../../../dist/mesher.zip"
}

variable "smtp_from" {
  description = "Sender of mails."
  type        = string
}

variable "alert_emails" {
  description = "Who is told when the platform itself is not well."
  type        = list(string)
}

# Comes from the environment, as TF_VAR_secret_values.
variable "secret_values" {
  description = "Values of secrets that are new or have a new number."
  type        = map(string)
  default     = {}
  ephemeral   = true
  sensitive   = true
}

variable "secret_versions" {
  description = "Numbers of secrets that were changed."
  type        = map(number)
  default     = {}
}

variable "settings" {
  description = "Settings of the functions."
  type        = map(string)
  default     = {}
}
