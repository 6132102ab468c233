locals {
  topics = toset(keys(local.by_topic))

  # Each topic, and the one that takes what could not be delivered, named as the platform on a laptop names them.
  all_topics = merge(
    { for name in local.topics : name => { retention = var.replay_hours * 3600 } },
    { for name in local.topics : "${name}-dead-letter" => { retention = 0 } },
  )

  # Who publishes to which topic, by the setting that names it.
  publishers = merge([
    for setting, topic in { EVENTS_TOPIC = "events", NOTIFICATIONS_TOPIC = "notifications" } : {
      for name in keys(local.functions) : "${name} to ${topic}" => { function = name, topic = topic }
      if contains(keys(local.environment[name]), setting) && contains(local.topics, topic)
    }
  ]...)
}

resource "google_pubsub_topic" "this" {
  for_each = local.all_topics

  project = var.project
  name    = each.key
  labels  = var.labels

  # What was published can be delivered again from here, also what is acknowledged: seek the subscription to a time.
  message_retention_duration = each.value.retention > 0 ? "${each.value.retention}s" : null

  # Order is kept within a region only, and data stays where it is meant to. A publisher elsewhere is refused.
  message_storage_policy {
    allowed_persistence_regions = [var.region]
    enforce_in_transit          = true
  }

  depends_on = [google_project_service.this]
}

resource "google_pubsub_topic_iam_member" "publisher" {
  for_each = local.publishers

  project = var.project
  topic   = google_pubsub_topic.this[each.value.topic].name
  role    = "roles/pubsub.publisher"
  member  = module.function[each.value.function].member
}

module "subscription" {
  source   = "./modules/subscription"
  for_each = local.by_topic

  project = var.project
  labels  = var.labels
  # Named like the function that it calls.
  name        = local.functions[each.value].service
  topic       = google_pubsub_topic.this[each.key]
  dead_letter = google_pubsub_topic.this["${each.key}-dead-letter"]

  endpoint     = module.function[each.value].uri
  caller       = module.function[each.value].caller
  ack_deadline = local.ack_deadline
  agent        = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}
