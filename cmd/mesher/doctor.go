package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/mesherhq/mesher"
	"github.com/mesherhq/mesher/cmd/mesher/doctor"
	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/local"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/scheduler"
	"github.com/mesherhq/mesher/shared/topic"
)

// doctorMost bounds the whole look.
const doctorMost = 2 * time.Minute

func runDoctor(ctx context.Context, args []string, out io.Writer) error {
	return doctorWith(ctx, env.OS, args, out)
}

// doctorWith runs the command with settings from anywhere.
func doctorWith(ctx context.Context, lookup env.Lookup, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("doctor", flag.ContinueOnError)
	asJSON := flags.Bool("json", false, "print one JSON object, for scripts")
	if err := parse(flags, args); err != nil {
		return err
	}
	in, err := installation(lookup)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, doctorMost)
	defer cancel()
	report := doctor.Examine(ctx, in)
	if *asJSON {
		err = printJSON(out, report)
	} else {
		_, err = io.WriteString(out, diagnosis(report))
	}
	if code := report.Code(); err == nil && code != 0 {
		return exitCode(code)
	}
	return err
}

// installation finds out what is to be looked at: what DATABASE_URL and the other settings of a deployment name, else the
// platform on this machine.
func installation(lookup env.Lookup) (doctor.Installation, error) {
	in := doctor.Installation{Roles: map[string]string{}}
	for _, f := range mesher.Functions() {
		if f.Topic != "" {
			in.Routes = append(in.Routes, doctor.Route{Topic: f.Topic, Subscription: strings.ToLower(f.Name)})
		}
	}
	set := func(name string) bool { v, ok := lookup(name); return ok && v != "" }
	queue, schedule := lookup, lookup
	if !set("DATABASE_URL") {
		info, err := local.ReadInfo(home())
		if err != nil {
			return in, fmt.Errorf("find the installation; of a deployment, set DATABASE_URL: %w", err)
		}
		if lookup, queue, schedule, err = onThisMachine(lookup, info, &in); err != nil {
			return in, err
		}
	}
	if err := env.Read(lookup, &in.Database); err != nil {
		return in, fmt.Errorf("find the database: %w", err)
	}
	for _, r := range []struct{ role, variable string }{
		{postgres.RoleIngest, "DATABASE_URL_INGEST"}, {postgres.RoleStore, "DATABASE_URL_STORE"}, {postgres.RoleApp, "DATABASE_URL_APP"},
	} {
		if url, ok := lookup(r.variable); ok && url != "" {
			in.Roles[r.role] = url
		}
	}
	if v, ok := queue("GOOGLE_CLOUD_PROJECT"); ok && v != "" {
		in.Queue, in.Schedule = new(topic.Config), new(scheduler.Config)
		if err := env.Read(queue, in.Queue); err != nil {
			return in, fmt.Errorf("find the topics: %w", err)
		}
		if err := env.Read(schedule, in.Schedule); err != nil {
			return in, fmt.Errorf("find the schedule: %w", err)
		}
	}
	return in, nil
}

// onThisMachine returns the settings of the platform on this machine.
func onThisMachine(lookup env.Lookup, info local.Info, in *doctor.Installation) (database, queue, schedule env.Lookup, err error) {
	in.Local = true
	if info.DatabaseDir != "" { // its own database, where the roles' passwords are kept
		for _, role := range []string{postgres.RoleIngest, postgres.RoleStore, postgres.RoleApp} {
			if in.Roles[role], err = local.RoleURL(home(), info, role); err != nil {
				return nil, nil, nil, fmt.Errorf("find the passwords of roles: %w", err)
			}
		}
	}
	none := env.Map(nil)
	queue, known := info.Queue()
	if !known {
		queue = none
	}
	if schedule, known = info.Schedule(); !known {
		schedule = queue
	}
	return overridden(lookup, map[string]string{"DATABASE_URL": info.DatabaseURL}), queue, schedule, nil
}

// diagnosis prints findings for people, what is wrong with what to do about it.
func diagnosis(r doctor.Report) string {
	var b strings.Builder
	counts := map[doctor.Level]int{}
	for _, f := range r.Findings {
		counts[f.Level]++
		fmt.Fprintf(&b, "%-8s %-19s %s\n", f.Level, f.Check, plain(f.What))
		if f.Level != doctor.OK && f.Fix != "" {
			fmt.Fprintf(&b, "%28s → %s\n", "", plain(f.Fix))
		}
	}
	fmt.Fprintf(&b, "\n%d wrong, %d warnings, %d could not be looked at\n", counts[doctor.Wrong], counts[doctor.Warning], counts[doctor.Unknown])
	return b.String()
}

// plain shows what others wrote without letting it steer the terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}
