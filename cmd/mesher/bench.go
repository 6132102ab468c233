package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/local"
	"github.com/mesherhq/mesher/shared/local/cluster"
	"github.com/mesherhq/mesher/shared/tenant"
)

// benchmark is one run of `mesher bench`: what it measures and with which weight.
type benchmark struct {
	events   int // sent over HTTP in each round
	rows     int // stored directly in each round
	clients  int
	projects int
	rounds   int

	info  local.Info
	pool  *pgxpool.Pool
	tests []target
}

// target is a project that the benchmark made for itself.
type target struct {
	project uuid.UUID
	key     string
}

// round is one round's figures, in events per second, and the sampled times from send to stored.
type round struct {
	limit, store, path float64
	latencies          []time.Duration
	acks               []time.Duration
}

func runBench(ctx context.Context, args []string, out io.Writer) error {
	if len(args) > 0 && args[0] == "query" {
		return runBenchQuery(ctx, args[1:], out)
	}
	var b benchmark
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&b.events, "events", 20_000, "events sent over HTTP in each round, one a request")
	flags.IntVar(&b.rows, "rows", 10_000, "events stored without HTTP in each round, in batches of 500")
	flags.IntVar(&b.clients, "clients", 64, "clients that send at the same time, each waiting for its answer")
	flags.IntVar(&b.projects, "projects", 1, "projects that the events are spread over")
	flags.IntVar(&b.rounds, "rounds", 5, "rounds; each measures everything once")
	running := flags.Bool("running", false, "measure the platform that runs on this machine instead of a fresh one")
	if err := parse(flags, args); err != nil {
		return err
	}
	if min(b.events, b.rows, b.clients, b.projects, b.rounds) < 1 {
		return fmt.Errorf("%w: every number must be at least 1", errUsage)
	}
	dir := home()
	if !*running {
		fresh, stop, err := startFresh(ctx)
		if err != nil {
			return err
		}
		defer stop()
		dir = fresh
	}
	var err error
	if b.info, err = local.ReadInfo(dir); err != nil {
		return err
	}
	if b.pool, err = pgxpool.New(ctx, b.info.DatabaseURL); err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	defer b.pool.Close()
	return b.run(ctx, out)
}

// startFresh starts a platform of its own, in another process as a real one would be, and returns its home and
// the function that ends and removes it.
func startFresh(ctx context.Context) (home string, stop func(), err error) {
	exe, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("find this program: %w", err)
	}
	home, err = os.MkdirTemp("", "mesher-bench-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder for the platform: %w", err)
	}
	cmd := exec.Command(exe, "dev") //nolint:noctx // this very program; it is stopped below, not killed with ctx
	cmd.Env = append(os.Environ(), "MESHER_HOME="+home, "PORT=0", "DATABASE_URL=", "PUBSUB_EMULATOR_HOST=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return "", nil, errors.Join(fmt.Errorf("start a platform: %w", err), os.RemoveAll(home))
	}
	var waited error
	ended := make(chan struct{})
	go func() { waited = cmd.Wait(); close(ended) }()
	stop = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		_ = cluster.Remove(context.WithoutCancel(ctx), filepath.Join(home, "postgres")) // as root it lies elsewhere
		_ = os.RemoveAll(home)
	}
	poll := time.NewTicker(100 * time.Millisecond)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			stop()
			return "", nil, fmt.Errorf("wait for the platform: %w", ctx.Err())
		case <-ended:
			stop()
			return "", nil, fmt.Errorf("the platform did not start: %w\n%s", waited, output.String())
		case <-poll.C:
			if _, err := os.Stat(filepath.Join(home, "dev.json")); err == nil {
				return home, stop, nil
			}
		}
	}
}

// run measures all rounds and prints the result.
func (b *benchmark) run(ctx context.Context, out io.Writer) error {
	if err := b.makeTargets(ctx); err != nil {
		return err
	}
	defer b.clean(context.WithoutCancel(ctx), out)
	fmt.Fprintf(out, "%d rounds: %d events of %d bytes over HTTP (%d clients, %d projects), %d rows directly\n",
		b.rounds, b.events, averageSize(generate(0, 1000)), b.clients, b.projects, b.rows)
	var rounds []round
	for i := range b.rounds {
		// Other events in each round: the same ones again would be duplicates.
		r, err := b.round(ctx, generate(uint64(i), max(b.events, b.rows)))
		if err != nil {
			return fmt.Errorf("round %d: %w", i+1, err)
		}
		fmt.Fprintf(out, "round %d  COPY %.0f/s  Store %.0f/s  whole path %.0f/s\n", i+1, r.limit, r.store, r.path)
		rounds = append(rounds, r)
	}
	return printRounds(out, rounds)
}

func (b *benchmark) round(ctx context.Context, events [][]byte) (r round, err error) {
	if r.limit, err = b.measureCopy(ctx, events[:b.rows]); err != nil {
		return r, fmt.Errorf("measure COPY: %w", err)
	}
	if r.store, err = b.measureStore(ctx, events[:b.rows]); err != nil {
		return r, fmt.Errorf("measure Store: %w", err)
	}
	if err := b.measurePath(ctx, events[:b.events], &r); err != nil {
		return r, fmt.Errorf("measure the whole path: %w", err)
	}
	return r, nil
}

// makeTargets creates the benchmark's own projects, so that nothing else counts in them.
func (b *benchmark) makeTargets(ctx context.Context) error {
	org, err := tenant.EnsureOrganization(ctx, b.pool, "Benchmark", "mesher-benchmark")
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	for i := range b.projects {
		slug := fmt.Sprintf("benchmark-%d-%d", time.Now().UnixNano(), i)
		p, err := tenant.EnsureProject(ctx, b.pool, org.ID, slug, slug)
		if err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		key, err := tenant.EnsureKey(ctx, b.pool, p.ID, "mesher bench", "")
		if err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
		b.tests = append(b.tests, target{p.ID, key})
	}
	return nil
}

// clean removes the benchmark's projects and everything in them.
func (b *benchmark) clean(ctx context.Context, out io.Writer) {
	for _, t := range b.tests {
		for _, sql := range []string{
			"delete from mesher.events where project_id = $1", "delete from mesher.issue_hourly_counts where project_id = $1",
			"delete from mesher.issue_fingerprints where project_id = $1", "delete from mesher.issues where project_id = $1",
			"delete from mesher.issue_tags where project_id = $1", "delete from mesher.issue_users where project_id = $1",
			"delete from mesher.releases where project_id = $1", "delete from mesher.project_hourly_counts where project_id = $1",
			"delete from mesher.usage_months where project_id = $1", "delete from mesher.usage where project_id = $1", "delete from mesher.api_keys where project_id = $1",
			"delete from mesher.projects where id = $1",
		} {
			if _, err := b.pool.Exec(ctx, sql, t.project); err != nil {
				fmt.Fprintln(out, "cleaning up:", err)
			}
		}
	}
}

// printRounds prints medians over the rounds. Ratios are medians of each round's ratio: what disturbs a machine
// for a moment disturbs both sides of it.
func printRounds(out io.Writer, rounds []round) error {
	pick := func(f func(round) float64) float64 {
		var v []float64
		for _, r := range rounds {
			v = append(v, f(r))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	var latencies, acks []time.Duration
	for _, r := range rounds {
		latencies = append(latencies, r.latencies...)
		acks = append(acks, r.acks...)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nmedian\tevents/s\tof COPY")
	fmt.Fprintf(w, "COPY of the same rows (the limit)\t%.0f\t1.00\n", pick(func(r round) float64 { return r.limit }))
	fmt.Fprintf(w, "Store alone: message in → committed and counted\t%.0f\t%.2f\n",
		pick(func(r round) float64 { return r.store }), pick(func(r round) float64 { return r.store / r.limit }))
	fmt.Fprintf(w, "whole path: HTTP → stored and counted\t%.0f\t%.2f\n",
		pick(func(r round) float64 { return r.path }), pick(func(r round) float64 { return r.path / r.limit }))
	fmt.Fprintf(w, "\nsend → acknowledged\tp50 %s\tp99 %s\n", quantile(acks, 0.5), quantile(acks, 0.99))
	fmt.Fprintf(w, "send → visible\tp50 %s\tp99 %s\n", quantile(latencies, 0.5), quantile(latencies, 0.99))
	return w.Flush()
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(q*float64(len(d))), len(d)-1)].Round(100 * time.Microsecond)
}
