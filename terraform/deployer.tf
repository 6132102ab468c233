# A continuous integration that deploys: it shows who it is with a token of GitHub's, so there is no key to lose. Somebody
# with the right to do so applies this by hand, once, and again when this file or a custom role has changed.

locals {
  # What deploying takes, each for what stands behind it. None of them reads a secret's value or a message.
  deployer_roles = var.deployer == null ? {} : {
    "roles/artifactregistry.admin"         = "the images' repository and its grants"
    "roles/cloudfunctions.developer"       = "the functions"
    "roles/cloudscheduler.admin"           = "the jobs"
    "roles/iam.serviceAccountCreator"      = "a new function's accounts"
    "roles/iam.serviceAccountDeleter"      = "those of one that is no more"
    "roles/iam.serviceAccountUser"         = "running functions, pushes and jobs as these"
    "roles/iam.serviceAccountViewer"       = "seeing whether they are as they should be"
    "roles/logging.configWriter"           = "log-based metrics and exclusions"
    "roles/monitoring.editor"              = "alerts, dashboard, uptime checks"
    "roles/pubsub.admin"                   = "topics, subscriptions and their grants"
    "roles/run.admin"                      = "who may call the functions"
    "roles/serviceusage.serviceUsageAdmin" = "the APIs"
    "roles/storage.admin"                  = "the source's bucket, and the state's"
    # Seen, not changed: with these it could make more of itself.
    "roles/iam.roleViewer"                 = "the custom roles"
    "roles/iam.workloadIdentityPoolViewer" = "the pool below"
  }

  # What it may grant on the project: nothing that would make more of it than it is.
  granted_roles = var.deployer == null ? [] : [
    "roles/logging.logWriter", "roles/storage.objectViewer", "roles/cloudscheduler.viewer",
    google_project_iam_custom_role.operate_jobs.name,
  ]
}

resource "google_service_account" "deployer" {
  count = var.deployer == null ? 0 : 1

  project      = var.project
  account_id   = "deployer"
  display_name = "Deploys from ${var.deployer.repository}"

  depends_on = [google_project_service.this]
}

resource "google_project_iam_member" "deployer" {
  for_each = local.deployer_roles

  project = var.project
  role    = each.key
  member  = google_service_account.deployer[0].member
}

resource "google_project_iam_member" "deployer_grants" {
  count = var.deployer == null ? 0 : 1

  project = var.project
  role    = "roles/resourcemanager.projectIamAdmin"
  member  = google_service_account.deployer[0].member

  condition {
    title      = "only the roles of functions"
    expression = "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(${jsonencode(local.granted_roles)})"
  }
}

# Secrets without their values. Whoever deploys a function can read what the function reads, by deploying another one: no
# role changes that.
resource "google_project_iam_custom_role" "declare_secrets" {
  count = var.deployer == null ? 0 : 1

  project     = var.project
  role_id     = "mesher.declareSecrets"
  title       = "Declare secrets"
  description = "Make secrets and say who reads them, add versions; not read a value."
  permissions = [
    "secretmanager.secrets.create", "secretmanager.secrets.delete", "secretmanager.secrets.get", "secretmanager.secrets.list",
    "secretmanager.secrets.update", "secretmanager.secrets.getIamPolicy", "secretmanager.secrets.setIamPolicy",
    "secretmanager.versions.add", "secretmanager.versions.get", "secretmanager.versions.list",
  ]
}

resource "google_project_iam_member" "declare_secrets" {
  count = var.deployer == null ? 0 : 1

  project = var.project
  role    = google_project_iam_custom_role.declare_secrets[0].name
  member  = google_service_account.deployer[0].member
}

resource "google_iam_workload_identity_pool" "ci" {
  count = var.deployer == null ? 0 : 1

  project                   = var.project
  workload_identity_pool_id = "github"
  display_name              = "GitHub"

  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "ci" {
  count = var.deployer == null ? 0 : 1

  project                            = var.project
  workload_identity_pool_id          = google_iam_workload_identity_pool.ci[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "actions"
  display_name                       = "GitHub Actions"

  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
  }
  # Without this anybody's workflow could ask. Workflows of pull requests have another ref.
  attribute_condition = "assertion.repository == '${var.deployer.repository}' && assertion.ref == 'refs/heads/${var.deployer.branch}'"

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account_iam_member" "ci" {
  count = var.deployer == null ? 0 : 1

  service_account_id = google_service_account.deployer[0].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.ci[0].name}/attribute.repository/${var.deployer.repository}"
}
