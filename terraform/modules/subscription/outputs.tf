output "name" {
  description = "Name of the push subscription."
  value       = google_pubsub_subscription.push.name
}

output "hold" {
  description = "Name of the subscription that holds what could not be delivered."
  value       = google_pubsub_subscription.hold.name
}
