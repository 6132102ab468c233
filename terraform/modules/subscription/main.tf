# What pushes a topic's messages to a function, in order, and what becomes of those that it does not take.

resource "google_pubsub_subscription" "push" {
  project = var.project
  name    = var.name
  topic   = var.topic.id
  labels  = var.labels

  # One message of an ordering key is on its way at a time. To change this is to make another subscription, which loses what
  # waits in this one.
  enable_message_ordering = true
  # Of a push, the time that the function has to answer.
  ack_deadline_seconds       = var.ack_deadline
  message_retention_duration = "${var.retention_days * 86400}s"

  push_config {
    push_endpoint = var.endpoint
    oidc_token {
      service_account_email = var.caller
      audience              = var.endpoint
    }
  }

  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "60s"
  }

  # 100 attempts, the most there are, are used up after about 95 minutes: what lands there may be nothing but an outage.
  dead_letter_policy {
    dead_letter_topic     = var.dead_letter.id
    max_delivery_attempts = 100
  }

  # A subscription without traffic would be deleted after a month.
  expiration_policy {
    ttl = ""
  }

  # A message must not be given up before there is somebody to take it.
  depends_on = [google_pubsub_topic_iam_member.agent, google_pubsub_subscription.hold]
}

# What was given up is kept for a month and tried again every ten minutes: after an outage it goes where it belongs without
# anybody's help. What can never be stored does not come here, for the function puts it aside itself and acknowledges it.
resource "google_pubsub_subscription" "hold" {
  project = var.project
  name    = "${var.dead_letter.name}-hold"
  topic   = var.dead_letter.id
  labels  = var.labels

  ack_deadline_seconds       = var.ack_deadline
  message_retention_duration = "${31 * 86400}s"

  push_config {
    push_endpoint = var.endpoint
    oidc_token {
      service_account_email = var.caller
      audience              = var.endpoint
    }
  }

  retry_policy {
    minimum_backoff = "600s"
    maximum_backoff = "600s"
  }

  expiration_policy {
    ttl = ""
  }
}

# Giving a message up is done by Pub/Sub's own agent: it publishes to the one topic and acknowledges on the other side.
resource "google_pubsub_topic_iam_member" "agent" {
  project = var.project
  topic   = var.dead_letter.name
  role    = "roles/pubsub.publisher"
  member  = var.agent
}

resource "google_pubsub_subscription_iam_member" "agent" {
  project      = var.project
  subscription = google_pubsub_subscription.push.name
  role         = "roles/pubsub.subscriber"
  member       = var.agent
}
