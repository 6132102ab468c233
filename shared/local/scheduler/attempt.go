package scheduler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// answerMost is how much of an answer's body is read, so that its connection can be used again.
const answerMost = 64 << 10

// attempt is one call of a job's target.
type attempt struct {
	job    *job
	pb     *schedulerpb.Job // as it was when the attempt began
	at     time.Time        // the time of the schedule that it is for
	forced bool             // somebody asked for it; the schedule goes on beside it
}

// newClient returns a client for targets. It uses no proxy, and follows redirects as the service does.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}}
}

// begin notes that a job which is due is called now. The lock is held.
func (s *Server) begin(j *job, now time.Time) attempt {
	from := j.due()
	if j.attempts > 0 {
		from = j.when.after(j.run)
	}
	if j.attempts == 0 || !from.After(now) { // a retry gives way to the next time of the schedule
		j.attempts, j.first, j.run = 0, now, j.when.latest(from, now)
	}
	j.busy = true
	s.note(j, func(pb *schedulerpb.Job) { pb.LastAttemptTime = timestamppb.New(now) })
	return attempt{job: j, pb: j.pb, at: j.run}
}

// note changes what the server knows of a job. It counts also when the file cannot be written: what was done is done.
func (s *Server) note(j *job, edit func(pb *schedulerpb.Job)) {
	if err := s.change(j, edit); err != nil {
		s.opts.Logger.Error("what came of a job cannot be kept", "job", path.Base(j.pb.GetName()), "error", err)
		j.pb = proto.CloneOf(j.pb)
		edit(j.pb)
	}
}

// call makes the attempt and returns what came of it, or nil when ctx ended first.
func (s *Server) call(ctx context.Context, a attempt) *status.Status {
	within, cancel := context.WithTimeout(ctx, a.pb.GetAttemptDeadline().AsDuration())
	defer cancel()
	answer, err := s.post(within, a)
	switch {
	case ctx.Err() != nil:
		return nil
	case within.Err() != nil:
		return &status.Status{Code: int32(codes.DeadlineExceeded), Message: "the target did not answer within " + a.pb.GetAttemptDeadline().AsDuration().String()}
	case err != nil:
		return &status.Status{Code: int32(codes.Unavailable), Message: "the target cannot be called: " + err.Error()}
	case answer < 200 || answer > 299:
		return &status.Status{Code: int32(codeOf(answer)), Message: fmt.Sprintf("the target answered %d %s", answer, http.StatusText(answer))}
	}
	return new(status.Status)
}

// post sends the request of an attempt, reads the answer's body and returns its status.
func (s *Server) post(ctx context.Context, a attempt) (int, error) {
	target := a.pb.GetHttpTarget()
	req, err := http.NewRequestWithContext(ctx, target.GetHttpMethod().String(), target.GetUri(), bytes.NewReader(target.GetBody()))
	if err != nil {
		return 0, errors.New("its request cannot be made") // the cause repeats the URL
	}
	for name, value := range target.GetHeaders() {
		if !ours(name) {
			req.Header.Set(name, value)
		}
	}
	if len(target.GetBody()) > 0 && req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	req.Header.Set("User-Agent", "Google-Cloud-Scheduler")
	req.Header.Set("X-CloudScheduler", "true")
	req.Header.Set("X-CloudScheduler-JobName", path.Base(a.pb.GetName()))
	req.Header.Set("X-CloudScheduler-ScheduleTime", a.at.UTC().Format(time.RFC3339))
	resp, err := s.client.Do(req)
	var at *url.Error
	if errors.As(err, &at) {
		return 0, at.Err // not the URL: it may hold a token, and the error is logged
	}
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, answerMost)); err != nil {
		return 0, fmt.Errorf("its answer breaks off: %w", err)
	}
	return resp.StatusCode, nil
}

// ours reports whether a header is one that the service sets itself, whatever the job says.
func ours(name string) bool {
	name = strings.ToLower(name)
	for _, prefix := range []string{"x-google-", "x-appengine-", "x-cloudscheduler"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == "host" || name == "content-length" || name == "user-agent"
}

// codeOf returns the code of google.rpc that stands for a status of HTTP.
func codeOf(httpStatus int) codes.Code {
	switch httpStatus {
	case http.StatusBadRequest:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusConflict:
		return codes.Aborted
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusInternalServerError:
		return codes.Internal
	case http.StatusNotImplemented:
		return codes.Unimplemented
	case http.StatusServiceUnavailable:
		return codes.Unavailable
	case http.StatusGatewayTimeout:
		return codes.DeadlineExceeded
	}
	return codes.Unknown
}

// settle notes what came of an attempt, and when the job is called next.
func (s *Server) settle(a attempt, result *status.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j := a.job
	if !a.forced {
		j.busy = false
	}
	if result == nil || s.jobs[a.pb.GetName()] != j {
		return // the server ends, and the attempt is made again in the next run; or the job is gone
	}
	failed := result.GetCode() != int32(codes.OK)
	if failed {
		s.opts.Logger.Warn("a job failed", "job", path.Base(a.pb.GetName()), "error", result.GetMessage())
	}
	next := j.pb.GetScheduleTime()
	if !a.forced {
		next = timestamppb.New(j.next(failed, s.now()))
	}
	s.note(j, func(pb *schedulerpb.Job) { pb.Status, pb.ScheduleTime = result, next })
	s.look()
}

// next returns when the job is called after an attempt that ended now.
func (j *job) next(failed bool, now time.Time) time.Time {
	following := j.when.after(j.run)
	if !failed {
		j.attempts = 0
		return following
	}
	j.attempts++
	if retry := now.Add(backoff(j.pb.GetRetryConfig(), j.attempts)); j.mayRetry(now) && retry.Before(following) {
		return retry
	}
	j.attempts = 0
	return following
}

// mayRetry reports whether a limit of the retries is not reached yet.
func (j *job) mayRetry(now time.Time) bool {
	r := j.pb.GetRetryConfig()
	if r.GetRetryCount() == 0 {
		return false
	}
	return j.attempts <= int(r.GetRetryCount()) || now.Sub(j.first) < r.GetMaxRetryDuration().AsDuration()
}

// backoff returns how long to wait after so many failures: the least, doubled max_doublings times, then growing by as much
// each time, up to the most.
func backoff(r *schedulerpb.RetryConfig, failures int) time.Duration {
	wait, most := r.GetMinBackoffDuration().AsDuration(), r.GetMaxBackoffDuration().AsDuration()
	for doubled := 1; doubled < failures && doubled <= int(r.GetMaxDoublings()) && wait < most; doubled++ {
		wait *= 2
	}
	if linear := failures - 1 - int(r.GetMaxDoublings()); linear > 0 && wait < most {
		wait += time.Duration(min(linear, int(most/wait)+1)) * wait
	}
	return min(wait, most)
}
