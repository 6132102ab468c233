package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/mesherhq/mesher/shared/scheduler"
)

// jobs looks whether what runs by itself does.
func jobs(ctx context.Context, e *exam) (out []Finding) {
	var client *scheduler.Client
	if e.Schedule != nil && e.Schedule.Known() {
		var err error
		if client, err = scheduler.Open(ctx, *e.Schedule); err != nil {
			return unknown(err, "correct SCHEDULER_LOCATION, or log in: gcloud auth application-default login")
		}
		defer client.Close()
	} else {
		out = append(out, Finding{Level: Unknown, What: "it is not known where the jobs are; what follows goes by what the functions recorded", Fix: "set SCHEDULER_LOCATION to their region"})
	}
	fine, problems, err := client.Check(ctx, e.pool, e.Now())
	if err != nil {
		return append(out, unknown(err, "may these credentials look (roles/cloudscheduler.viewer)? is there a way to Cloud Scheduler from here?")...)
	}
	if fine {
		return append(out, Finding{Level: OK, What: "every job runs"})
	}
	for _, p := range problems {
		out = append(out, Finding{Level: Wrong, What: p, Fix: "see \"When a job is late\" in docs/operating.md"})
	}
	return out
}

// deadLetters counts what could not be stored and waits for a person.
func deadLetters(ctx context.Context, e *exam) []Finding {
	return e.each(ctx, Warning, "look at reason and detail in mesher.dead_letters", "none waits", `
		select format('%s wait since %s: %s', count(*), to_char(min(created_at) at time zone 'utc', 'YYYY-MM-DD'), reason)
		from mesher.dead_letters where replayed_at is null group by reason order by count(*) desc limit 10`)
}

// Notifications go out within seconds; what waits for longer was swept by Alerts and failed again, or nobody sweeps.
const notificationsLate = 15 * time.Minute

// notifications looks for those that wait or failed.
func notifications(ctx context.Context, e *exam) []Finding {
	return e.each(ctx, Warning, "mesher notifications shows them and what kept them; -retry sends one again", "none waits", `
		select format('%s %s since %s', count(*), case status when 'failed' then 'failed for good' else 'wait' end,
			to_char(min(created_at) at time zone 'utc', 'YYYY-MM-DD HH24:MI'))
		from mesher.notifications
		where status = 'failed' and created_at > $1::timestamptz - interval '7 days'
			or status = 'pending' and created_at < $1::timestamptz - $2::text::interval
		group by status order by status`, e.Now().UTC(), fmt.Sprintf("%d seconds", int(notificationsLate.Seconds())))
}

// secrets looks for those that never end and are older than a year.
func secrets(ctx context.Context, e *exam) []Finding {
	return e.each(ctx, Warning, "replace it: mesher keys rotate, or the owner of a token makes a new one",
		"every secret without an end is younger than a year", `
		(select format('the key %s…%s of the project %s is from %s and never expires', k.prefix, k.last_four, p.slug, to_char(k.created_at at time zone 'utc', 'YYYY-MM-DD'))
		from mesher.api_keys k join mesher.projects p on p.id = k.project_id
		where k.expires_at is null and k.revoked_at is null and k.created_at < $1::timestamptz - interval '1 year'
		order by k.created_at limit 20)
		union all
		(select format('the token %s…%s of %s is from %s and never expires', t.prefix, t.last_four, u.email, to_char(t.created_at at time zone 'utc', 'YYYY-MM-DD'))
		from mesher.personal_access_tokens t join mesher.users u on u.id = t.user_id
		where t.expires_at is null and t.revoked_at is null and t.created_at < $1::timestamptz - interval '1 year'
		order by t.created_at limit 20)`, e.Now().UTC())
}
