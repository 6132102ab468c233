variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "labels" {
  description = "Labels of alerts and checks."
  type        = map(string)
  default     = {}
}

variable "emails" {
  description = "Addresses that alerts go to."
  type        = list(string)
}

variable "functions" {
  description = "Cloud Run service by entry point, and whether anybody may call it."
  type        = map(object({ service = string, public = bool }))
}

variable "addresses" {
  description = "Address by entry point of the public functions."
  type        = map(string)
}

variable "subscriptions" {
  description = "By topic the subscription that pushes, and the one that holds what could not be delivered."
  type        = map(object({ name = string, hold = string }))
}

variable "jobs" {
  description = "Scheduled jobs with the longest time between two runs and how long one may take, in seconds."
  type        = map(object({ period = number, deadline = number }))
}

variable "uptime_checks" {
  description = "Whether the public functions are asked for their health."
  type        = bool
}
