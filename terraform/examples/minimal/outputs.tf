output "urls" {
  description = "Addresses of the public functions."
  value       = module.mesher.urls
}

output "dsn_host" {
  description = "Host of a DSN."
  value       = module.mesher.dsn_host
}

output "next_steps" {
  description = "What is left to do."
  value       = module.mesher.next_steps
}
