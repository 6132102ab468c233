# Which function is given which setting. Nobody lists that: each gets the settings that it reads, by the source's own word
# (contract.json), where there is a value for them here or in var.settings; all others keep their defaults.
locals {
  # The address that Cloud Run gives a service is known before there is one. A function's own address as an attribute would
  # not do: one function's settings cannot wait for another of the same module.
  address = {
    for name, f in local.functions : name => "https://${f.service}-${data.google_project.this.number}.${var.region}.run.app"
  }

  # What the installation knows of itself.
  known = {
    GOOGLE_CLOUD_PROJECT = var.project
    # One endpoint for all who publish: order is kept within a region only.
    PUBSUB_ENDPOINT     = "${var.region}-pubsub.googleapis.com:443"
    SCHEDULER_LOCATION  = var.region
    EVENTS_TOPIC        = "events"
    NOTIFICATIONS_TOPIC = "notifications"
    AUTH_URL            = coalesce(var.auth_url, local.address["Auth"])
    API_URL             = coalesce(var.api_url, local.address["API"])
    SMTP_FROM           = var.smtp_from
  }

  # What follows from a function's size, in the same unit as the setting.
  sized = {
    for name, f in local.functions : name => {
      DATABASE_POOL_SIZE = tostring(f.pool)
      INGEST_CONCURRENCY = tostring(f.concurrency)
      # At most a third and half of the memory, by what these settings say of themselves.
      INGEST_MEMORY = tostring(floor(f.memory * 1048576 / 4))
      STORE_MEMORY  = tostring(floor(f.memory * 1048576 / 2))
    }
  }

  environment = {
    for name, f in local.functions : name => merge(
      # Log lines name their trace with it, whether the function has other uses for it or not.
      { GOOGLE_CLOUD_PROJECT = var.project },
      {
        for setting, value in merge(local.known, local.sized[name], var.settings) : setting => value
        if contains(keys(local.contract.functions[name].settings), setting)
      },
    )
  }

  # Settings that are secrets, and which secret holds them: the database's address is another for each role.
  secret_settings = ["DATABASE_URL", "SMTP_URL", "SEAL_KEY"]
  secrets_of = {
    for name, f in local.functions : name => {
      for setting in local.secret_settings : setting => setting == "DATABASE_URL" ? "DATABASE_URL_${upper(trimprefix(f.role, "mesher_"))}" : setting
      if contains(keys(local.contract.functions[name].settings), setting)
    }
  }
  secrets = toset(flatten([for of in local.secrets_of : values(of)]))

  # Settings that a function cannot do without and that have no value.
  missing = flatten([
    for name, of in local.contract.functions : [
      for setting, default in of.settings : "${name} needs ${setting}"
      if default == null && !contains(keys(local.environment[name]), setting) && !contains(keys(local.secrets_of[name]), setting)
    ]
  ])
}

# The value that a setting of the source has, as text.
locals {
  defaults = merge([for of in local.contract.functions : of.settings]...)
  setting  = merge(local.defaults, var.settings)
}
