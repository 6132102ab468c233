output "channels" {
  description = "Notification channels of the alerts."
  value       = [for c in google_monitoring_notification_channel.email : c.id]
}
