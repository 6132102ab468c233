variable "project" {
  description = "Google Cloud project."
  type        = string
}

variable "region" {
  description = "Region of the function."
  type        = string
}

variable "name" {
  description = "Name of the function and of its Cloud Run service."
  type        = string
}

variable "entry_point" {
  description = "Name that the source registers the function under."
  type        = string
}

variable "description" {
  description = "What it does."
  type        = string
}

variable "labels" {
  description = "Labels of the function."
  type        = map(string)
  default     = {}
}

variable "runtime" {
  description = "Runtime that it is built for."
  type        = string
}

variable "archive" {
  description = "Bucket and object of the source."
  type        = object({ bucket = string, object = string })
}

variable "builder" {
  description = "Service account that builds it, with its project."
  type        = string
}

variable "repository" {
  description = "Artifact Registry repository of the image."
  type        = string
}

variable "memory" {
  description = "MiB of an instance."
  type        = number
}

variable "cpu" {
  description = "CPUs of an instance."
  type        = number
}

variable "concurrency" {
  description = "Requests that an instance takes at a time."
  type        = number
}

variable "timeout" {
  description = "Seconds that a request may take."
  type        = number
}

variable "min_instances" {
  description = "Instances that are kept, whether or not there is anything to do."
  type        = number
}

variable "max_instances" {
  description = "Most instances."
  type        = number
}

variable "public" {
  description = "Whether anybody may call it. Otherwise only the service account `caller`, from within the project."
  type        = bool
}

variable "environment" {
  description = "Settings that are no secrets."
  type        = map(string)
}

variable "secrets" {
  description = "Secret and version by the setting that is to hold its value."
  type        = map(object({ id = string, version = string }))
}
