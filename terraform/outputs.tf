output "urls" {
  description = "Addresses of the public functions, by entry point."
  value       = { for name in local.public : name => module.function[name].uri }
}

output "dsn_host" {
  description = "What stands between @ and the project's number in a DSN: put it in the place of INGEST_HOST in MESHER_DSN."
  value       = trimprefix(module.function["Ingest"].uri, "https://")
}

output "connections" {
  description = "Connections to the database that all instances together may hold, and half of what its pooler takes."
  value       = { most = local.connections, allowed = floor(var.pooler_clients / 2) }
}

output "service_accounts" {
  description = "What each function runs as."
  value       = { for name, f in module.function : name => trimprefix(f.member, "serviceAccount:") }
}

output "deployer" {
  description = "What a workflow needs to deploy: workload_identity_provider and service_account; null without one."
  value = var.deployer == null ? null : {
    workload_identity_provider = google_iam_workload_identity_pool_provider.ci[0].name
    service_account            = google_service_account.deployer[0].email
  }
}

output "next_steps" {
  description = "What is left to do."
  value       = <<-EOT
    Health:      curl ${module.function["API"].uri}/health
    First event: curl ${module.function["Ingest"].uri}/v1/events -H "X-Mesher-Key: $MESHER_API_KEY" \
                   -d '{"message":"Hello","level":"info","timestamp":'$(date +%s)'}'
    DSN:         https://$MESHER_API_KEY@${trimprefix(module.function["Ingest"].uri, "https://")}/<project number>
    Log in:      curl ${module.function["Auth"].uri}/auth/v1/login -H 'Content-Type: application/json' \
                   -d "{\"email\":\"$MESHER_OWNER_EMAIL\",\"password\":\"$MESHER_OWNER_PASSWORD\"}"
    Dashboard:   https://console.cloud.google.com/monitoring/dashboards?project=${var.project}
  EOT
}
