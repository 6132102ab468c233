# The one map of functions, keyed by entry point. A function of the source needs one row here and nothing else: its
# service account, access, trigger, settings, secrets, dashboards and alerts follow from it. What triggers a function,
# which settings it reads and as which database role it connects stands in contract.json, which is written from the source.
#
# memory      MiB of an instance
# cpu         of an instance; more than one request at a time takes at least 1
# concurrency requests that an instance takes at a time
# timeout     seconds that a request may take; a scheduled function has its job's deadline
# instances   most of them: what bounds the cost, and the load on the database
# pool        most connections to the database of one instance
# jobs        what it may do to Cloud Scheduler's jobs: "" nothing, "view", or "operate"
locals {
  rows = {
    # Waiting for the queue costs no CPU, so an instance takes as many requests as Cloud Run lets it: fewer instances make
    # larger batches.
    Ingest = { memory = 512, cpu = 1, concurrency = 1000, timeout = 60, instances = 10, pool = 2, jobs = "" }

    # Its pool is STORE_SLOTS and two spare connections. Messages of one project that wait go into one transaction, so an
    # instance takes many at a time.
    Store = { memory = 512, cpu = 1, concurrency = 80, timeout = 60, instances = 10, pool = 4, jobs = "" }

    # People. Hashing a password takes 19 MiB and a whole CPU.
    Auth = { memory = 512, cpu = 1, concurrency = 80, timeout = 60, instances = 4, pool = 2, jobs = "" }
    API  = { memory = 512, cpu = 1, concurrency = 80, timeout = 60, instances = 6, pool = 2, jobs = "operate" }

    # It delivers ten at a time: mail servers turn away who comes with many connections.
    Notify = { memory = 256, cpu = 1, concurrency = 20, timeout = 60, instances = 2, pool = 2, jobs = "" }

    # Called by the scheduler. One run of a job is enough: another call is answered "skipped" by the same instance.
    Partitions = { memory = 256, cpu = 1, concurrency = 4, timeout = 0, instances = 1, pool = 2, jobs = "" }
    Retention  = { memory = 256, cpu = 1, concurrency = 4, timeout = 0, instances = 1, pool = 2, jobs = "" }
    Probe      = { memory = 512, cpu = 1, concurrency = 4, timeout = 0, instances = 2, pool = 2, jobs = "view" }
    Alerts     = { memory = 256, cpu = 1, concurrency = 4, timeout = 0, instances = 1, pool = 2, jobs = "" }
  }

  contract = jsondecode(file("${path.module}/contract.json"))

  # Jobs by the function that they call.
  schedule = { for name, job in local.contract.schedule : job.function => merge(job, { name = name }) }

  # What is deployed: every entry point of the source, as its row says, unless var.functions says otherwise.
  functions = {
    for name, source in local.contract.functions : name => merge(
      local.rows[name],
      {
        service       = lower(name)
        trigger       = source.trigger
        topic         = source.topic
        role          = source.role
        doc           = source.doc
        public        = source.trigger == "http"
        min_instances = 0
        timeout       = try(local.schedule[name].deadline_seconds, local.rows[name].timeout)
      },
      { for what, value in try(var.functions[name], {}) : what => value if value != null },
    )
  }

  public    = toset([for name, f in local.functions : name if f.public])
  by_topic  = { for name, f in local.functions : f.topic => name if f.trigger == "topic" }
  scheduled = { for name, f in local.functions : name => local.schedule[name] if f.trigger == "schedule" }
}

module "function" {
  source   = "./modules/function"
  for_each = local.functions

  project     = var.project
  region      = var.region
  name        = each.value.service
  entry_point = each.key
  description = each.value.doc
  labels      = var.labels

  runtime    = var.runtime
  archive    = { bucket = google_storage_bucket.source.name, object = google_storage_bucket_object.source.name }
  builder    = google_service_account.builder.name
  repository = google_artifact_registry_repository.images.id

  memory        = each.value.memory
  cpu           = each.value.cpu
  concurrency   = each.value.concurrency
  timeout       = each.value.timeout
  min_instances = each.value.min_instances
  max_instances = each.value.instances

  public      = each.value.public
  environment = local.environment[each.key]
  secrets = {
    for setting, secret in local.secrets_of[each.key] : setting => {
      id      = google_secret_manager_secret.this[secret].secret_id
      version = google_secret_manager_secret_version.this[secret].version
    }
  }

  depends_on = [
    google_project_service.this,
    google_project_iam_member.builder,
    google_project_iam_member.builder_staging,
    google_storage_bucket_iam_member.builder,
    google_artifact_registry_repository_iam_member.builder,
    terraform_data.rules,
  ]
}
