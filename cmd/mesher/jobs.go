package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/env"
	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/local"
	"github.com/mesherhq/mesher/shared/postgres"
	"github.com/mesherhq/mesher/shared/schedule"
	"github.com/mesherhq/mesher/shared/scheduler"
)

// jobsMost bounds one command's work, besides what it waits for a run.
const jobsMost = time.Minute

// jobsAction is one subcommand of `mesher jobs`.
type jobsAction struct {
	name, usage, doc string
	job              bool // takes the job to work on as an argument
	flags            func(*flag.FlagSet, *jobsOptions)
	run              func(ctx context.Context, p jobsPlace, o jobsOptions, out io.Writer) error
}

// jobsOptions is what the flags say.
type jobsOptions struct {
	job                       string
	project, location, prefix string
	wait                      time.Duration
	dry                       bool
	targets                   map[string]string // by job, the URL that it is to call
	account                   string
	asJSON                    bool
}

// jobsPlace is where the jobs are.
type jobsPlace struct {
	client *scheduler.Client
	local  bool           // that of the platform on this machine
	db     *postgres.Pool // nil: it is not known, so runs are not shown and nothing is noted in the audit log
}

func jobsActions() []jobsAction {
	none := func(*flag.FlagSet, *jobsOptions) {}
	return []jobsAction{
		{"list", "", "list the jobs, how their last runs went, and what is wrong", false, none, jobsList},
		{"run", " JOB", "have a job run now, and say what came of it", true, func(f *flag.FlagSet, o *jobsOptions) {
			f.DurationVar(&o.wait, "wait", 30*time.Second, "how long to wait for the end of the run; 0: not at all")
		}, jobsRun},
		{"pause", " JOB", "keep a job from running until it is resumed", true, none, jobsPause},
		{"resume", " JOB", "let a paused job run again", true, none, jobsResume},
		{"sync", "", "bring the deployed jobs in line with this version's schedule", false, func(f *flag.FlagSet, o *jobsOptions) {
			f.BoolVar(&o.dry, "dry-run", false, "only say what would be done")
			f.StringVar(&o.account, "service-account", "", "in whose name jobs that are created call their functions, by e-mail address")
			f.Func("target", "what a job calls that is created, as JOB=URL; once for each", func(text string) error {
				name, url, ok := strings.Cut(text, "=")
				if _, known := schedule.Find(name); !ok || !known {
					return fmt.Errorf("write JOB=URL, with a job of the schedule: %s", jobNames())
				}
				if o.targets == nil {
					o.targets = map[string]string{}
				}
				o.targets[name] = url
				return nil
			})
		}, jobsSync},
	}
}

func jobNames() string {
	var names []string
	for _, j := range schedule.Jobs() {
		names = append(names, j.Name)
	}
	return strings.Join(names, ", ")
}

func jobsUsage() string {
	var b strings.Builder
	b.WriteString("mesher jobs <action> [flags]\n\n")
	for _, a := range jobsActions() {
		fmt.Fprintf(&b, "  %-22s %s\n", a.name+a.usage, a.doc)
	}
	b.WriteString("\nJOB is one of: " + jobNames() + ". Without -location, SCHEDULER_LOCATION and DATABASE_URL the jobs are those of the platform on this machine.\n")
	return b.String()
}

func runJobs(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		_, err := io.WriteString(out, jobsUsage())
		return err
	}
	for _, a := range jobsActions() {
		if a.name != args[0] {
			continue
		}
		o, err := a.options(args[1:])
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(ctx, jobsMost+o.wait)
		defer cancel()
		p, err := openJobs(ctx, o, env.OS)
		if err != nil {
			return err
		}
		defer p.close()
		err = explainDatabase(a.run(ctx, p, o, out))
		if p.local && fault.Is(err, fault.Unavailable) {
			return fmt.Errorf("%w; is the platform running (make run)?", err)
		}
		return err
	}
	return fmt.Errorf("%w: mesher jobs has no action %q\n%s", errUsage, args[0], jobsUsage())
}

// options reads the flags of an action; they may stand before and after the job.
func (a jobsAction) options(args []string) (jobsOptions, error) {
	var o jobsOptions
	flags := flag.NewFlagSet("jobs "+a.name, flag.ContinueOnError)
	flags.StringVar(&o.project, "project", "", "Google Cloud project; by default GOOGLE_CLOUD_PROJECT")
	flags.StringVar(&o.location, "location", "", "region of the jobs, such as europe-west1; by default SCHEDULER_LOCATION")
	flags.StringVar(&o.prefix, "prefix", "", "what the names of the jobs begin with; by default SCHEDULER_PREFIX")
	flags.BoolVar(&o.asJSON, "json", false, "print JSON, for scripts")
	a.flags(flags, &o)
	if err := flags.Parse(args); err != nil {
		return o, usageError(err)
	}
	if a.job {
		if flags.NArg() == 0 {
			return o, fmt.Errorf("%w: mesher jobs %s JOB\n%s", errUsage, a.name, jobsUsage())
		}
		o.job, args = flags.Arg(0), flags.Args()[1:]
		if err := flags.Parse(args); err != nil {
			return o, usageError(err)
		}
		if _, ok := schedule.Find(o.job); !ok {
			return o, fmt.Errorf("%w: the schedule has no job %q; it has %s", errUsage, o.job, jobNames())
		}
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("%w: mesher jobs %s takes no further argument; it got %d", errUsage, a.name, flags.NArg())
	}
	if o.wait < 0 {
		return o, fmt.Errorf("%w: -wait is not negative", errUsage)
	}
	return o, nil
}

// openJobs finds the jobs of a deployment, or of the platform on this machine where neither flags nor settings name one. The
// two are never mixed: one's schedule is not shown with the other's runs.
func openJobs(ctx context.Context, o jobsOptions, lookup env.Lookup) (jobsPlace, error) {
	set := func(name string) bool { v, ok := lookup(name); return ok && v != "" }
	database, here := set("DATABASE_URL"), false
	if o.location == "" && !set("SCHEDULER_LOCATION") && !database {
		info, err := local.ReadInfo(home())
		if err != nil {
			return jobsPlace{}, fmt.Errorf("find the schedule; of a deployment, say -location and -project: %w", err)
		}
		found, known := info.Schedule()
		if !known {
			return jobsPlace{}, fmt.Errorf("find the schedule: the platform of %s was started by a version without one; start it again (make run)", home())
		}
		lookup, database, here = found, true, true
	}
	var cfg scheduler.Config
	if err := env.Read(overridden(lookup, map[string]string{
		"GOOGLE_CLOUD_PROJECT": o.project, "SCHEDULER_LOCATION": o.location, "SCHEDULER_PREFIX": o.prefix,
	}), &cfg); err != nil {
		return jobsPlace{}, fmt.Errorf("find the schedule: %w", err)
	}
	client, err := scheduler.Open(ctx, cfg)
	if err != nil {
		return jobsPlace{}, fmt.Errorf("find the schedule: %w", err)
	}
	p := jobsPlace{client: client, local: here}
	if database {
		if p.db, err = openDatabase(ctx); err != nil {
			p.close()
			return jobsPlace{}, err
		}
	}
	return p, nil
}

// overridden returns a lookup that knows better where a value is not empty.
func overridden(lookup env.Lookup, better map[string]string) env.Lookup {
	return func(name string) (string, bool) {
		if v := better[name]; v != "" {
			return v, true
		}
		return lookup(name)
	}
}

func (p jobsPlace) close() {
	_ = p.client.Close() // nothing is under way
	if p.db != nil {
		p.db.Close()
	}
}
