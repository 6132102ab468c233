# Copy to terraform.tfvars.
project         = "acme-errors"
region          = "europe-west3"
database_region = "eu-central-1"
smtp_from       = "Mesher <mesher@example.com>"
alert_emails    = ["ops@example.com"]

# settings = { REGISTRATION = "invite" }
