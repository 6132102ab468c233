# The jobs of shared/schedule, by way of contract.json.
module "schedule" {
  source   = "./modules/schedule"
  for_each = local.scheduled

  project  = var.project
  region   = var.region
  name     = each.value.name
  doc      = each.value.doc
  cron     = each.value.cron
  period   = each.value.period_seconds
  deadline = each.value.deadline_seconds
  endpoint = module.function[each.key].uri
  caller   = module.function[each.key].caller

  depends_on = [google_project_service.this]
}

# Looking at jobs, and, for the operator view, running, pausing and resuming them. There is no such role ready-made, and
# no way to give one on a single job.
resource "google_project_iam_custom_role" "operate_jobs" {
  project     = var.project
  role_id     = "mesher.operateJobs"
  title       = "Operate scheduled jobs"
  description = "Look at, run, pause and resume jobs; not create, change or delete them."
  permissions = [
    "cloudscheduler.jobs.enable",
    "cloudscheduler.jobs.get",
    "cloudscheduler.jobs.list",
    "cloudscheduler.jobs.pause",
    "cloudscheduler.jobs.run",
  ]

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "jobs" {
  for_each = { for name, f in local.functions : name => f.jobs if f.jobs != "" }

  project = var.project
  role    = each.value == "operate" ? google_project_iam_custom_role.operate_jobs.name : "roles/cloudscheduler.viewer"
  member  = module.function[each.key].member
}
