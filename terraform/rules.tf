# What has to fit together and that no single variable can see. Each is refused when planning, in words.
locals {
  # Connections that all functions may hold. Store opens as many as its transactions need, whatever its pool says.
  connections = sum([
    for name, f in local.functions :
    f.instances * (name == "Store" ? max(f.pool, tonumber(local.setting["STORE_SLOTS"]) + 2) : f.pool)
  ])

  # Seconds, of a duration as Go writes it with one unit: 50ms, 25s, 2m.
  seconds = {
    for name in ["INGEST_LINGER", "STORE_TIMEOUT"] : name => try(
      tonumber(regex("^([0-9.]+)(?:ms|s|m)$", local.setting[name])[0]) * lookup({ ms = 0.001, s = 1, m = 60 }, regex("[a-z]+$", local.setting[name])),
      0,
    )
  }

  # Seconds from the push of a message to its acknowledgement: 12 ms to deliver it, 10 ms in the database, and some room.
  # A key has one message on its way at a time, so a project's keys take shards ÷ this many messages a second, while every
  # instance of Ingest publishes one per linger at most.
  service_time  = 0.025
  most_messages = tonumber(local.setting["INGEST_SHARDS"]) / local.service_time
  published     = local.seconds["INGEST_LINGER"] > 0 ? local.functions["Ingest"].instances / local.seconds["INGEST_LINGER"] : 0

  ack_deadline = 60
}

resource "terraform_data" "rules" {
  lifecycle {
    precondition {
      condition     = length(setsubtract(keys(local.rows), setunion(keys(local.contract.functions), keys(local.schedule)))) == 0
      error_message = "functions.tf has rows that are no entry points of the source: ${join(", ", setsubtract(keys(local.rows), keys(local.contract.functions)))}."
    }

    precondition {
      condition     = length(local.missing) == 0
      error_message = "Settings without a value: ${join(", ", local.missing)}. Give them in the variable settings."
    }

    precondition {
      condition     = local.seconds["INGEST_LINGER"] > 0 && local.seconds["STORE_TIMEOUT"] > 0
      error_message = "INGEST_LINGER and STORE_TIMEOUT are durations with one unit, such as 50ms or 25s."
    }

    precondition {
      condition     = local.published <= local.most_messages
      error_message = "Ingest would publish more than Store's keys can take: ${local.functions["Ingest"].instances} instances ÷ ${local.setting["INGEST_LINGER"]} are ${floor(local.published)} messages a second of one project, and ${local.setting["INGEST_SHARDS"]} shards ÷ ${local.service_time * 1000} ms take ${floor(local.most_messages)}. Take fewer instances, a longer INGEST_LINGER, or more INGEST_SHARDS."
    }

    precondition {
      condition     = local.seconds["STORE_TIMEOUT"] < local.ack_deadline && local.functions["Store"].timeout >= local.ack_deadline
      error_message = "A message is delivered again after ${local.ack_deadline} s, so STORE_TIMEOUT (${local.setting["STORE_TIMEOUT"]}) must be shorter, and Store's timeout (${local.functions["Store"].timeout} s) no shorter than that."
    }
  }
}
