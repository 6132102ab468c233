variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "labels" {
  description = "Labels of the subscriptions."
  type        = map(string)
  default     = {}
}

variable "name" {
  description = "Name of the subscription."
  type        = string
}

variable "topic" {
  description = "Topic whose messages are pushed."
  type        = object({ id = string, name = string })
}

variable "dead_letter" {
  description = "Topic that takes what could not be delivered."
  type        = object({ id = string, name = string })
}

variable "endpoint" {
  description = "Address of the function that is pushed to."
  type        = string
}

variable "caller" {
  description = "E-mail of the service account that may call it."
  type        = string
}

variable "agent" {
  description = "Pub/Sub's own service account in the project, in the form that grants take."
  type        = string
}

variable "ack_deadline" {
  description = "Seconds that the function has to answer."
  type        = number

  validation {
    condition     = var.ack_deadline >= 10 && var.ack_deadline <= 600
    error_message = "Pub/Sub waits for 10 to 600 seconds."
  }
}

variable "retention_days" {
  description = "Days that a message waits to be delivered; then it is lost."
  type        = number
  default     = 31
}
