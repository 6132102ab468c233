output "uri" {
  description = "Address of the function, known once it may be called."
  value       = google_cloudfunctions2_function.this.service_config[0].uri
  depends_on  = [google_cloud_run_v2_service_iam_member.invoker]
}

output "member" {
  description = "What it runs as, in the form that grants take."
  value       = google_service_account.this.member
}

output "caller" {
  description = "E-mail of the service account that may call it; null for a public function."
  value       = one(google_service_account.caller[*].email)
}
