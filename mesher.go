// Package mesher is the function bundle: every entry point that is deployed, in one table.
//
// The path of an event goes through it from top to bottom:
//
//	SDK ── HTTPS ──▶ Ingest ──▶ Pub/Sub topic `events` ──▶ Store ──▶ Postgres
//
// Each function lives in its own folder under functions/; what two of them share lives under shared/. Imports
// point one way: this package → functions → shared → the standard library. On a laptop `mesher dev` runs the
// same table in one process, with the cloud's parts from shared/local.
//
// This package only composes. It lies at the root of the module because that is where the Cloud Functions
// buildpack looks for it, and every init in it runs in every function's instance: nothing here may read the
// environment or open anything.
package mesher

import (
	"log/slog"
	"os"

	"github.com/GoogleCloudPlatform/functions-framework-go/functions"

	"github.com/mesherhq/mesher/functions/alerts"
	"github.com/mesherhq/mesher/functions/api"
	"github.com/mesherhq/mesher/functions/auth"
	"github.com/mesherhq/mesher/functions/ingest"
	"github.com/mesherhq/mesher/functions/notify"
	"github.com/mesherhq/mesher/functions/partitions"
	"github.com/mesherhq/mesher/functions/probe"
	"github.com/mesherhq/mesher/functions/retention"
	"github.com/mesherhq/mesher/functions/store"
	"github.com/mesherhq/mesher/shared/boot"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/logging"
	"github.com/mesherhq/mesher/shared/postgres"
)

// Trigger is what calls a function.
type Trigger string

// The triggers. A topic's function is an HTTP function behind a push subscription.
const (
	HTTP     Trigger = "http"
	Topic    Trigger = "topic"
	Schedule Trigger = "schedule"
)

// Function is one entry point: one folder, one deployed function, one row of the README and of Terraform.
type Function struct {
	Name     string // the entry point's name in the cloud
	Trigger  Trigger
	Path     string // where it answers, with its method
	Topic    string // the topic whose messages it is pushed, when one triggers it
	Role     string // the database role that it connects as: the one that may do just what it needs
	Doc      string
	Settings []env.Setting
	Build    boot.Build
}

// Functions returns the table of entry points, in the order in which an event meets them.
func Functions() []Function {
	return []Function{
		{
			Name: "Ingest", Trigger: HTTP, Role: postgres.RoleIngest, Path: "POST " + ingest.Path,
			Doc:      "takes events from SDKs, of Sentry and OpenTelemetry too, scrubs and groups them, publishes them, then answers 2xx; takes heartbeats and check-ins of jobs",
			Settings: env.Describe(&ingest.Config{}),
			Build:    ingest.Build,
		},
		{
			Name: "Store", Trigger: Topic, Topic: "events", Role: postgres.RoleStore, Path: "POST /",
			Doc:      "stores published events in batches, each once, and counts them into issues",
			Settings: env.Describe(&store.Config{}),
			Build:    store.Build,
		},
		{
			Name: "Auth", Trigger: HTTP, Role: postgres.RoleApp, Path: "/auth/",
			Doc:      "lets people in: registration, logins and sessions, passwords, invitations",
			Settings: env.Describe(&auth.Config{}),
			Build:    auth.Build,
		},
		{
			Name: "API", Trigger: HTTP, Role: postgres.RoleApp, Path: "/api/v1/",
			Doc:      "manages organizations, members, projects and keys, and reads what is known of them",
			Settings: env.Describe(&api.Config{}),
			Build:    api.Build,
		},
		{
			Name: "Notify", Trigger: Topic, Topic: "notifications", Role: postgres.RoleApp, Path: "POST /",
			Doc:      "delivers notifications: mails about accounts, and alerts by mail, to Slack, Discord, PagerDuty and webhooks",
			Settings: env.Describe(&notify.Config{}),
			Build:    notify.Build,
		},
		{
			Name: "Partitions", Trigger: Schedule, Role: postgres.RoleStore, Path: "POST /",
			Doc:      "keeps the daily partitions of events ready for the coming days, and repairs what they lack",
			Settings: env.Describe(&partitions.Config{}),
			Build:    partitions.Build,
		},
		{
			Name: "Retention", Trigger: Schedule, Role: postgres.RoleStore, Path: "POST /",
			Doc:      "removes what is older than it is to be kept, and erases what was deleted",
			Settings: env.Describe(&retention.Config{}),
			Build:    retention.Build,
		},
		{
			Name: "Alerts", Trigger: Schedule, Role: postgres.RoleApp, Path: "POST /",
			Doc:      "evaluates alert rules over time, resolves alerts that have ended, and sweeps the outbox",
			Settings: env.Describe(&alerts.Config{}),
			Build:    alerts.Build,
		},
		{
			Name: "Probe", Trigger: Schedule, Role: postgres.RoleApp, Path: "POST /",
			Doc:      "looks at the services that are watched, judges what jobs said of themselves, and raises the alerts that follow",
			Settings: env.Describe(&probe.Config{}),
			Build:    probe.Build,
		},
	}
}

// init registers the entry points with the Functions Framework, which serves the one that FUNCTION_TARGET
// names. A function is built when its first request comes.
func init() {
	for _, f := range Functions() {
		l := boot.New(f.Name, f.Build, env.OS, logging.NewLate(os.Stderr, slog.LevelInfo, project))
		functions.HTTP(f.Name, l.Terminating())
	}
}

// project names the Google Cloud project, whose traces log lines belong to. It is asked for with each such line, since
// nothing is read at start.
func project() string {
	name, _ := env.OS("GOOGLE_CLOUD_PROJECT")
	return name
}
