package postgres

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mesherhq/mesher/shared/fault"
)

// Remote is a project of Supabase's that only HTTPS leads to.
type Remote struct {
	URL  string // https://<ref>.supabase.co
	Key  string // the secret key, or the older one of service_role
	HTTP *http.Client
}

// answerMost bounds what is read of an answer, in bytes.
const answerMost = 4 << 20

// Check refuses what cannot work, or would show the key to others.
func (r Remote) Check() error {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !Local(u.Hostname())) {
		return fault.New(fault.NotConfigured, "%q is no address of a project: expected https://<ref>.supabase.co", r.URL)
	}
	switch {
	case r.Key == "":
		return fault.New(fault.NotConfigured, "there is no key: give the project's secret key (sb_secret_…) or that of service_role")
	case strings.HasPrefix(r.Key, "sb_publishable_"):
		return fault.New(fault.NotConfigured, "the key is the publishable one, which everybody has: give the project's secret key (sb_secret_…)")
	case strings.ContainsFunc(r.Key, func(c rune) bool { return c <= ' ' || c > '~' }):
		return fault.New(fault.NotConfigured, "the key holds a space or another character that no key has")
	}
	return nil
}

// MigrateVia is Migrate for a project that only HTTPS leads to: it hands each file to the function of ExecSQL, which
// applies and records it in one transaction. DryRun and Notice mean the same.
func MigrateVia(ctx context.Context, r Remote, fsys fs.FS, o MigrateOptions) (Report, error) {
	var report Report
	files, err := readFiles(fsys)
	if err != nil {
		return report, err
	}
	state, err := r.status(ctx, files)
	for {
		if err != nil {
			return report, err
		}
		report.Pending = pending(state)
		if o.DryRun || len(report.Pending) == 0 {
			return report, nil
		}
		next := files[len(files)-len(report.Pending)]
		if o.Notice != nil {
			o.Notice(next.name)
		}
		history, failed := r.call(ctx, next.name, next.text)
		if failed == nil {
			state, err = compare(files, history)
		} else {
			// Another runner may have been faster, and an answer may be lost after the work is done.
			state, err = r.status(ctx, files)
		}
		if err == nil {
			m := state[len(files)-len(report.Pending)]
			switch {
			case m.Pending() && failed == nil:
				err = fmt.Errorf("migration %s is not recorded", next.name)
			case m.Pending():
				err = fmt.Errorf("migration %s: %w", next.name, failed)
			default:
				report.Applied = append(report.Applied, m)
			}
		} else if failed != nil {
			err = fmt.Errorf("migration %s: %w", next.name, failed)
		}
	}
}

// StatusVia is Status for a project that only HTTPS leads to.
func StatusVia(ctx context.Context, r Remote, fsys fs.FS) ([]Migration, error) {
	files, err := readFiles(fsys)
	if err != nil {
		return nil, err
	}
	return r.status(ctx, files)
}

// RemoveVia has the function of ExecSQL remove itself.
func RemoveVia(ctx context.Context, r Remote) error {
	_, err := r.call(ctx, "remove", "")
	return err
}

func (r Remote) status(ctx context.Context, files []file) ([]Migration, error) {
	history, err := r.call(ctx, "", "")
	if err != nil {
		return nil, err
	}
	return compare(files, history)
}

// call calls the function and returns what the database has recorded then.
func (r Remote) call(ctx context.Context, name, text string) (map[int]Migration, error) {
	args := map[string]string{}
	if name != "" {
		args["file"] = name
	}
	if text != "" {
		args["sql"] = text
	}
	body, err := json.Marshal(args)
	if err != nil {
		return nil, fmt.Errorf("encode the call: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimRight(r.URL, "/")+"/rest/v1/rpc/exec_sql", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("call exec_sql: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Apikey", r.Key)
	if strings.HasPrefix(r.Key, "ey") { // a JSON web token; the newer keys are refused in this place
		req.Header.Set("Authorization", "Bearer "+r.Key)
	}
	resp, err := r.HTTP.Do(req)
	if err != nil {
		return nil, fmt.Errorf("call exec_sql: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, answerMost+1))
	if err != nil {
		return nil, fmt.Errorf("read the answer of exec_sql: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, refusal(resp.StatusCode, answer)
	}
	return recorded(answer)
}

// recorded reads rows of mesher.migrations.
func recorded(answer []byte) (map[int]Migration, error) {
	var rows []struct {
		Number    int       `json:"number"`
		Name      string    `json:"name"`
		Checksum  string    `json:"checksum"`
		AppliedAt time.Time `json:"applied_at"`
		TookMS    int64     `json:"took_ms"`
	}
	if err := json.Unmarshal(answer, &rows); err != nil {
		return nil, fmt.Errorf("exec_sql does not answer with records of migrations; is it Mesher's own? (mesher migrate --print-exec-sql): %w", err)
	}
	out := make(map[int]Migration, len(rows))
	for _, m := range rows {
		out[m.Number] = Migration{m.Number, m.Name, m.Checksum, m.AppliedAt, time.Duration(m.TookMS) * time.Millisecond}
	}
	return out, nil
}

// refusal explains an answer of the Data API that is an error.
func refusal(status int, answer []byte) error {
	var e struct{ Code, Message, Details, Hint string }
	if err := json.Unmarshal(answer, &e); err != nil || e.Message == "" {
		return fmt.Errorf("the Data API answers %d %s; is this the address of a project?", status, http.StatusText(status))
	}
	text := e.Message
	for _, more := range []string{e.Details, e.Hint} {
		if more != "" {
			text += " (" + more + ")"
		}
	}
	cause := errors.New(text)
	if e.Code != "" {
		cause = fmt.Errorf("%s (%s)", text, e.Code)
	}
	switch e.Code {
	case "PGRST202":
		return fault.Wrap(cause, fault.NotConfigured, "the project has no function exec_sql: run what `mesher migrate --print-exec-sql` prints in its SQL editor first")
	case "42501", "PGRST301", "PGRST302":
		return fault.Wrap(cause, fault.Forbidden, "the key is not the project's secret key, which alone may call exec_sql")
	}
	if status == http.StatusUnauthorized {
		return fault.Wrap(cause, fault.Unauthenticated, "the project does not know the key")
	}
	return cause
}
