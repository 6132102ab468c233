package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"

	"github.com/mesherhq/mesher/shared/job"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/schedule"
	"github.com/mesherhq/mesher/shared/scheduler"
	"github.com/mesherhq/mesher/shared/tenant"
)

// runPoll is how often a command looks whether a run has ended.
const runPoll = 200 * time.Millisecond

// shownJob is a job with its last run, as operators see it.
type shownJob struct {
	scheduler.Job
	LastRun *job.Record `json:"last_run,omitempty"`
}

// shownSchedule is the answer of `mesher jobs list -json`.
type shownSchedule struct {
	Jobs     []shownJob `json:"jobs"`
	Problems []string   `json:"problems"`
}

func jobsList(ctx context.Context, p jobsPlace, o jobsOptions, out io.Writer) error {
	deployed, err := p.client.List(ctx)
	if err != nil {
		return err
	}
	s := shownSchedule{Jobs: []shownJob{}, Problems: []string{}}
	var names []string
	for _, j := range deployed {
		names = append(names, j.Name)
	}
	runs := map[string][]job.Record{}
	var last map[string]job.Last
	if p.db != nil {
		if runs, err = job.Recent(ctx, p.db, names, 1); err != nil {
			return err
		}
		if last, err = job.LastRuns(ctx, p.db, names); err != nil {
			return err
		}
	}
	for _, j := range deployed {
		shown := shownJob{Job: j}
		if r := runs[j.Name]; len(r) > 0 {
			shown.LastRun = &r[0]
		}
		s.Jobs = append(s.Jobs, shown)
	}
	s.Problems = append(s.Problems, problems(deployed, last, p.db != nil)...)
	if o.asJSON {
		return printJSON(out, s)
	}
	return s.print(out, p.db != nil)
}

// problems says what is wrong. Without a database only what is deployed can be judged.
func problems(deployed []scheduler.Job, last map[string]job.Last, recorded bool) []string {
	now := time.Now().UTC()
	if !recorded {
		last = map[string]job.Last{}
		for _, j := range deployed {
			last[j.Name] = job.Last{StartedAt: now, Outcome: job.Done}
		}
	}
	_, found := scheduler.Check(deployed, last, now)
	return found
}

func (s shownSchedule) print(out io.Writer, recorded bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "JOB\tSTATE\tSCHEDULE (UTC)\tLAST CALL\tANSWER\tLAST RUN\tNEXT CALL")
	for _, j := range s.Jobs {
		run, next := "-", shownTime(j.Next)
		if j.LastRun != nil {
			run = outcome(*j.LastRun) + " " + shownTime(j.LastRun.StartedAt)
		}
		if j.State != scheduler.Enabled {
			next = "-" // a paused job keeps its time, and is not called then
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", printable(j.Name), j.State, printable(j.Cron), shownTime(j.LastAttempt),
			orDash(printable(j.LastStatus)), run, next)
	}
	if len(s.Jobs) == 0 {
		fmt.Fprintln(w, "(no jobs)")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if !recorded {
		fmt.Fprintln(out, "\nDATABASE_URL is not set: what came of the runs is not known.")
	}
	for i, text := range s.Problems {
		if i == 0 {
			fmt.Fprintln(out)
		}
		fmt.Fprintln(out, "! "+printable(text))
	}
	return nil
}

// outcome says how a run went, and whether it only said what it would do.
func outcome(r job.Record) string {
	var s job.Summary
	if json.Unmarshal(r.Summary, &s) == nil && s.DryRun {
		return "dry run " + string(r.Outcome)
	}
	return string(r.Outcome)
}

func jobsRun(ctx context.Context, p jobsPlace, o jobsOptions, out io.Writer) error {
	before, err := p.newest(ctx, o.job)
	if err != nil {
		return err
	}
	if _, err := p.client.Run(ctx, o.job); err != nil {
		return err
	}
	if err := p.record(ctx, "job.run", o.job, nil); err != nil {
		return err
	}
	if p.db == nil || o.wait == 0 {
		if o.asJSON {
			return printJSON(out, map[string]string{"job": o.job, "outcome": "called"})
		}
		_, err := fmt.Fprintf(out, "%s is called; mesher jobs list shows how it went.\n", o.job)
		return err
	}
	run, err := p.awaitRun(ctx, o.job, before, o.wait)
	if err != nil {
		return err
	}
	show := func() error { return printRun(out, o.job, run) }
	if o.asJSON {
		show = func() error { return printJSON(out, run) }
	}
	if err := show(); err != nil || run.Outcome != job.Failed {
		return err
	}
	return fmt.Errorf("the run of %s failed", o.job)
}

// newest returns the id of a job's newest run; uuid.Nil when there is none, or no database.
func (p jobsPlace) newest(ctx context.Context, name string) (uuid.UUID, error) {
	if p.db == nil {
		return uuid.Nil, nil
	}
	runs, err := job.Recent(ctx, p.db, []string{name}, 1)
	if err != nil || len(runs[name]) == 0 {
		return uuid.Nil, err
	}
	return runs[name][0].ID, nil
}

// awaitRun returns the first run of a job after the one that was its newest before, once it has ended.
func (p jobsPlace) awaitRun(ctx context.Context, name string, before uuid.UUID, most time.Duration) (job.Record, error) {
	waiting, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	poll := time.NewTicker(runPoll)
	defer poll.Stop()
	for {
		runs, err := job.Recent(ctx, p.db, []string{name}, 5)
		if err != nil {
			return job.Record{}, err
		}
		for _, r := range slices.Backward(runs[name]) {
			if strings.Compare(r.ID.String(), before.String()) > 0 && r.Outcome != job.Running {
				return r, nil
			}
		}
		select {
		case <-poll.C:
		case <-waiting.Done():
			return job.Record{}, fmt.Errorf("%s is called, but no run has ended within %s; mesher jobs list shows how it goes", name, most)
		}
	}
}

// printRun shows what a run did, step by step.
func printRun(out io.Writer, name string, r job.Record) error {
	var s job.Summary
	if err := json.Unmarshal(r.Summary, &s); err != nil {
		return fmt.Errorf("read the summary of %s: %w", name, err)
	}
	if s.Skipped != "" {
		_, err := fmt.Fprintf(out, "%s was skipped: %s.\n", name, printable(s.Skipped))
		return err
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(out, "%s: %s within %d ms.\n", name, r.Outcome, s.TookMS)
	steps := map[string]bool{}
	for _, of := range []map[string]int64{s.Done, s.Remaining} {
		for step := range of {
			steps[step] = true
		}
	}
	for step := range s.Failed {
		steps[step] = true
	}
	idle := 0
	for _, step := range slices.Sorted(maps.Keys(steps)) {
		if s.Done[step] == 0 && s.Remaining[step] == 0 && s.Failed[step] == "" {
			idle++
			continue
		}
		fmt.Fprintf(w, "  %s\t%d done\t%d left\t%s\n", printable(step), s.Done[step], s.Remaining[step], printable(s.Failed[step]))
	}
	if idle > 0 {
		fmt.Fprintf(w, "  (%d of %d steps had nothing to do)\n", idle, len(steps))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if s.Report == nil {
		return nil
	}
	return printJSON(out, s.Report)
}

func jobsPause(ctx context.Context, p jobsPlace, o jobsOptions, out io.Writer) error {
	return p.turn(ctx, p.client.Pause, "job.pause", o, out)
}

func jobsResume(ctx context.Context, p jobsPlace, o jobsOptions, out io.Writer) error {
	return p.turn(ctx, p.client.Resume, "job.resume", o, out)
}

// turn changes a job's state and says what it is then.
func (p jobsPlace) turn(ctx context.Context, do func(context.Context, string) (scheduler.Job, error), action string, o jobsOptions, out io.Writer) error {
	j, err := do(ctx, o.job)
	if err != nil {
		return err
	}
	if err := p.record(ctx, action, o.job, nil); err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(out, j)
	}
	next := "; it is not called until mesher jobs resume " + j.Name
	if j.State == scheduler.Enabled {
		next = "; it is called next at " + shownTime(j.Next) + " UTC"
	}
	_, err = fmt.Fprintf(out, "%s is %s%s.\n", j.Name, j.State, next)
	return err
}

func jobsSync(ctx context.Context, p jobsPlace, o jobsOptions, out io.Writer) error {
	changes, err := p.client.Sync(ctx, schedule.Jobs(), func(j schedule.Job) (scheduler.Target, bool) {
		url, ok := o.targets[j.Name]
		return scheduler.Target{URL: url, ServiceAccount: o.account}, ok
	}, o.dry)
	for _, c := range changes {
		if c.Done {
			if noted := p.record(ctx, "job.sync", c.Job, particulars{"action": c.Action, "differs": c.Differs}); noted != nil && err == nil {
				err = noted
			}
		}
	}
	if err != nil {
		return err
	}
	if o.asJSON {
		return printJSON(out, append([]scheduler.Change{}, changes...))
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "JOB\tACTION\t")
	for _, c := range changes {
		fmt.Fprintf(w, "%s\t%s\t%s\n", printable(c.Job), c.Action, printable(syncNote(c, o.dry)))
	}
	return w.Flush()
}

// syncNote explains one line of a sync.
func syncNote(c scheduler.Change, dry bool) string {
	switch c.Action {
	case scheduler.Missing:
		return "give -target " + c.Job + "=URL, and -service-account, to have it created"
	case scheduler.Extra:
		return "not of this version's schedule; it is left alone"
	case scheduler.Update, scheduler.Create:
		note := strings.Join(c.Differs, "; ")
		if dry {
			note = strings.TrimPrefix(note+"; not done: -dry-run", "; ")
		}
		return note
	}
	return ""
}

// record notes in the audit log what an operator did to a job, where the database is known.
func (p jobsPlace) record(ctx context.Context, action, name string, details any) error {
	if p.db == nil {
		return nil
	}
	return postgres.InTx(ctx, p.db, func(tx postgres.Tx) error {
		return tenant.Record(ctx, tx, uuid.Nil, operator("jobs"), action, tenant.Target{Kind: "job", Name: name}, details)
	})
}
