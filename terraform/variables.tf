# Where

variable "project" {
  description = "Google Cloud project of the installation. It should have no other use: names in it are plain."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "A project's id has 6 to 30 lower-case letters, digits and hyphens, and is not its name or number."
  }
}

variable "region" {
  description = "Region of everything, such as europe-west3. It should be next to the database's."
  type        = string

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.region))
    error_message = "A region is written like europe-west3; this may be a zone, or a place of two regions."
  }
}

variable "database_region" {
  description = "AWS region of the Supabase project, such as eu-central-1; empty for a database that is elsewhere, which is not checked."
  type        = string
  default     = ""

  validation {
    condition     = var.database_region == "" || can(local.near[split("-", var.database_region)[0]])
    error_message = "A region of Supabase is written like eu-central-1, us-east-1, ca-central-1, sa-east-1 or ap-southeast-2."
  }

  validation {
    condition     = var.database_region == "" || contains(try(local.near[split("-", var.database_region)[0]], [split("-", var.region)[0]]), split("-", var.region)[0])
    error_message = "The functions (${var.region}) and the database (${var.database_region}) are on different continents. Storing a batch takes two round trips, which across an ocean is more than a message may take. Choose regions next to each other."
  }
}

locals {
  # First part of AWS's region: first part of Google's on the same continent.
  near = {
    ap = ["asia", "australia"]
    ca = ["northamerica", "us"]
    eu = ["europe"]
    me = ["me", "europe"]
    sa = ["southamerica"]
    us = ["us", "northamerica"]
  }
}

variable "labels" {
  description = "Labels of everything that takes labels."
  type        = map(string)
  default     = { app = "mesher" }
}

# What

variable "archive" {
  description = "File that `make package` wrote."
  type        = string

  validation {
    condition     = fileexists(var.archive)
    error_message = "There is no ${var.archive}: run make package, and give the path of what it wrote."
  }
}

variable "runtime" {
  description = "Runtime of the functions."
  type        = string
  default     = "go126"

  validation {
    condition     = can(regex("^go1(2[6-9]|[3-9][0-9])$", var.runtime))
    error_message = "The source needs Go 1.26 or later: go126."
  }
}

variable "functions" {
  description = "Sizes that differ from functions.tf, by entry point."
  type = map(object({
    memory        = optional(number)
    cpu           = optional(number)
    concurrency   = optional(number)
    timeout       = optional(number)
    instances     = optional(number)
    min_instances = optional(number)
    pool          = optional(number)
  }))
  default = {}

  validation {
    condition     = length(setsubtract(keys(var.functions), keys(local.contract.functions))) == 0
    error_message = "No such function: ${join(", ", setsubtract(keys(var.functions), keys(local.contract.functions)))}. There are ${join(", ", keys(local.contract.functions))}."
  }

  validation {
    condition = alltrue([for f in values(var.functions) :
      (f.memory == null ? true : f.memory >= 128 && f.memory <= 32768)
      && (f.concurrency == null ? true : f.concurrency >= 1 && f.concurrency <= 1000)
      && (f.timeout == null ? true : f.timeout >= 1 && f.timeout <= 3600)
      && (f.instances == null ? true : f.instances >= 1 && f.instances <= 1000)
      && (f.pool == null ? true : f.pool >= 1)
    ])
    error_message = "An instance has 128 to 32768 MiB and takes 1 to 1000 requests at a time for 1 to 3600 seconds; a function has 1 to 1000 instances, each with at least one connection in its pool."
  }

  validation {
    condition     = alltrue([for f in values(var.functions) : f.cpu == null ? true : f.cpu >= 1 || f.concurrency == 1])
    error_message = "With less than one CPU an instance takes one request at a time: set concurrency to 1, or cpu to 1 or more."
  }

  validation {
    condition = alltrue([for name, f in var.functions :
      coalesce(f.min_instances, 0) <= coalesce(f.instances, try(local.rows[name].instances, 1))
    ])
    error_message = "min_instances is larger than instances: no more can be kept than there may be."
  }
}

variable "settings" {
  description = "Values of settings of the functions (the README lists them), such as REGISTRATION or INGEST_LINGER. Each is given to the functions that read it. No secrets."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.settings), keys(local.defaults))) == 0
    error_message = "No function reads ${join(", ", setsubtract(keys(var.settings), keys(local.defaults)))}; the README lists the settings."
  }

  validation {
    condition     = length(setintersection(keys(var.settings), local.secret_settings)) == 0
    error_message = "${join(", ", setintersection(keys(var.settings), local.secret_settings))} must not stand in plain sight: give it in secret_values."
  }

  validation {
    condition     = !contains(keys(var.settings), "DATABASE_POOL_SIZE")
    error_message = "Give the size of a pool for each function, as functions = { API = { pool = 3 } }: DATABASE_POOL_SIZE is the same for all."
  }
}

# Secrets

variable "secret_values" {
  description = "Values of the secrets, by name: DATABASE_URL_INGEST, DATABASE_URL_STORE, DATABASE_URL_APP (mesher setup makes them), SMTP_URL, SEAL_KEY. Needed where one is new or its number in secret_versions has changed, else empty. Never kept."
  type        = map(string)
  default     = {}
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = alltrue([for name in keys(var.secret_values) : contains(["DATABASE_URL_INGEST", "DATABASE_URL_STORE", "DATABASE_URL_APP", "SMTP_URL", "SEAL_KEY"], name)])
    error_message = "secret_values holds a name that is no secret of the functions: they are DATABASE_URL_INGEST, DATABASE_URL_STORE, DATABASE_URL_APP, SMTP_URL and SEAL_KEY."
  }

  validation {
    condition     = alltrue([for name, value in var.secret_values : can(regex("^postgres(ql)?://[^:/@]+:[^@]+@", value)) && !can(regex(":PASSWORD@", value)) if startswith(name, "DATABASE_URL_")])
    error_message = "A DATABASE_URL_… is not a connection string with a user and a password. One that says PASSWORD is of a role whose password mesher setup has left alone: run it with -rotate-passwords."
  }

  validation {
    condition     = alltrue([for name, value in var.secret_values : !can(regex("pooler\\.supabase\\.com(:5432)?/", value)) && !can(regex("@db\\.[a-z0-9]+\\.supabase\\.co[:/]", value)) if startswith(name, "DATABASE_URL_")])
    error_message = "A DATABASE_URL_… leads to Supabase's session mode, which a few instances use up, or to its direct address, which Cloud Run cannot reach: take the pooler's port 6543."
  }

  validation {
    condition     = alltrue([for name, value in var.secret_values : can(regex("^smtps?://", value)) if name == "SMTP_URL"])
    error_message = "SMTP_URL is written smtp://user:password@host:587 or smtps://user:password@host:465."
  }

  validation {
    condition     = alltrue([for name, value in var.secret_values : alltrue([for key in split(",", value) : can(regex("^[A-Za-z0-9+/]{43}=$", trimspace(key)))]) if name == "SEAL_KEY"])
    error_message = "SEAL_KEY is 32 bytes in base64: openssl rand -base64 32. More than one are separated by commas, the newest first."
  }
}

variable "secret_versions" {
  description = "Number by name of a secret, 1 where none is given. Raise it to have the value in secret_values take the place of the one before."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for name, n in var.secret_versions : contains(local.secrets, name) && n >= 1 && n == floor(n)])
    error_message = "secret_versions gives whole numbers from 1 on to ${join(", ", local.secrets)}."
  }
}

# How

variable "auth_url" {
  description = "Public address of Auth, which links in mails lead to, when it has a domain of its own; else the address that Cloud Run gives it."
  type        = string
  default     = ""

  validation {
    condition     = var.auth_url == "" || can(regex("^https://[^/?#]+(/[^?#]*)?$", var.auth_url))
    error_message = "auth_url is an address such as https://auth.example.com, without a query."
  }
}

variable "api_url" {
  description = "Public address of API, when it has a domain of its own; else the address that Cloud Run gives it."
  type        = string
  default     = ""

  validation {
    condition     = var.api_url == "" || can(regex("^https://[^/?#]+(/[^?#]*)?$", var.api_url))
    error_message = "api_url is an address such as https://api.example.com, without a query."
  }
}

variable "smtp_from" {
  description = "Sender of mails, such as Mesher <mesher@example.com>."
  type        = string

  validation {
    condition     = can(regex("^([^<>@]+<[^<>@\\s]+@[^<>@\\s]+>|[^<>@\\s]+@[^<>@\\s]+)$", var.smtp_from))
    error_message = "smtp_from is an address, or a name and an address: Mesher <mesher@example.com>."
  }
}

variable "pooler_clients" {
  description = "Connections that the database's pooler takes from clients. Of Supabase: 200 for Nano and Micro, 400 Small, 600 Medium, 800 Large, 1000 XL, 1500 2XL, 3000 4XL."
  type        = number
  default     = 200

  validation {
    condition     = local.connections <= var.pooler_clients / 2
    error_message = "All instances together may hold ${local.connections} connections, more than half of the ${var.pooler_clients} that the pooler takes: while a new version replaces the old one, both are there. Take fewer instances or smaller pools (functions), or a larger database (pooler_clients)."
  }
}

variable "replay_hours" {
  description = "Hours that what was published can be delivered again, also when it is stored already. 0: not at all."
  type        = number
  default     = 24

  validation {
    condition     = var.replay_hours >= 0 && var.replay_hours <= 744 && var.replay_hours == floor(var.replay_hours)
    error_message = "Pub/Sub keeps messages for up to 31 days: 0 to 744 whole hours."
  }
}

# Whom to tell

variable "alert_emails" {
  description = "Addresses that alerts of the platform itself go to."
  type        = list(string)

  validation {
    condition     = length(var.alert_emails) > 0 && alltrue([for a in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+$", a))])
    error_message = "alert_emails is a list of one address or more: an alert that nobody gets is none."
  }
}

variable "uptime_checks" {
  description = "Whether the public functions are asked for their health every five minutes, from three continents."
  type        = bool
  default     = true
}

variable "budget" {
  description = "A monthly budget that alerts at 50, 90 and 100 %: the id of the billing account and whole units of its currency. Needs the right to manage that account's budgets."
  type        = object({ billing_account = string, amount = number })
  default     = null

  validation {
    condition     = var.budget == null ? true : can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.budget.billing_account)) && var.budget.amount >= 1
    error_message = "budget has a billing_account such as 012345-6789AB-CDEF01 and an amount of 1 or more."
  }
}

variable "request_log_share" {
  description = "Share of the successful requests of Ingest and Store that stay in the request log, 0 to 1. Failed ones all do."
  type        = number
  default     = 0.01

  validation {
    condition     = var.request_log_share >= 0 && var.request_log_share <= 1
    error_message = "request_log_share is a share: 0 to 1."
  }
}

variable "deployer" {
  description = "A GitHub repository (owner/name) and branch that may deploy from its workflows, without a key. null: none."
  type        = object({ repository = string, branch = optional(string, "main") })
  default     = null

  validation {
    condition     = var.deployer == null ? true : can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.deployer.repository))
    error_message = "deployer.repository is written owner/name."
  }
}
