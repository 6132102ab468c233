variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the job."
  type        = string
}

variable "name" {
  description = "Name of the job."
  type        = string
}

variable "doc" {
  description = "What it is for."
  type        = string
}

variable "cron" {
  description = "When it runs: minute, hour, day of month, month, day of week, in UTC."
  type        = string
}

variable "period" {
  description = "The longest time between two runs, in seconds."
  type        = number
}

variable "deadline" {
  description = "Seconds that a run may take."
  type        = number

  validation {
    condition     = var.deadline >= 15 && var.deadline <= 1800
    error_message = "Cloud Scheduler waits for 15 seconds to 30 minutes."
  }
}

variable "endpoint" {
  description = "Address of the function."
  type        = string
}

variable "caller" {
  description = "E-mail of the service account that may call it."
  type        = string
}
