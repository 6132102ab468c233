package scheduler

import (
	"cmp"
	"net/url"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

// What the service refuses is refused here, so that it is found on the laptop.

var (
	locationName = regexp.MustCompile(`^projects/[A-Za-z0-9:.-]+/locations/[A-Za-z0-9-]+$`)
	jobName      = regexp.MustCompile(`^projects/[A-Za-z0-9:.-]+/locations/[A-Za-z0-9-]+/jobs/[A-Za-z0-9_-]{1,500}$`)
)

// The limits of the service, and its defaults for what a job leaves out.
const (
	descriptionMost = 500 // characters
	urlMost         = 2083
	headersMost     = 80 << 10
	deadlineLeast   = 15 * time.Second
	deadlineMost    = 30 * time.Minute
	retriesMost     = 5

	defaultDeadline   = 3 * time.Minute
	defaultMinBackoff = 5 * time.Second
	defaultMaxBackoff = time.Hour
	defaultDoublings  = 5
)

func checkLocation(name string) error {
	if !locationName.MatchString(name) {
		return invalid("%.100q is not of the form projects/<project>/locations/<location>", name)
	}
	return nil
}

func checkName(name string) error {
	if !jobName.MatchString(name) {
		return invalid("%.100q is not of the form projects/<project>/locations/<location>/jobs/<job>, with a job of up to 500 letters, "+
			"digits, hyphens and underscores", name)
	}
	return nil
}

// checkJob checks what a client may set, and sets what it left out.
func checkJob(j *schedulerpb.Job) error {
	if len([]rune(j.GetDescription())) > descriptionMost {
		return invalid("a description has at most %d characters", descriptionMost)
	}
	switch j.GetTarget().(type) {
	case *schedulerpb.Job_HttpTarget:
	case nil:
		return invalid("a job needs a target")
	default:
		return status.Error(codes.Unimplemented, "there are no targets here but HTTP ones")
	}
	if err := checkTarget(j.GetHttpTarget()); err != nil {
		return err
	}
	if j.GetAttemptDeadline().AsDuration() == 0 {
		j.AttemptDeadline = durationpb.New(defaultDeadline)
	}
	if d := j.GetAttemptDeadline().AsDuration(); d < deadlineLeast || d > deadlineMost {
		return invalid("the attempt deadline is %s to %s, not %s", deadlineLeast, deadlineMost, d)
	}
	return checkRetries(j)
}

func checkTarget(t *schedulerpb.HttpTarget) error {
	u, err := url.Parse(t.GetUri())
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || len(t.GetUri()) > urlMost {
		return invalid("the target is not an http URL of at most %d bytes", urlMost)
	}
	if t.GetHttpMethod() == schedulerpb.HttpMethod_HTTP_METHOD_UNSPECIFIED {
		t.HttpMethod = schedulerpb.HttpMethod_POST
	}
	switch t.GetHttpMethod() {
	case schedulerpb.HttpMethod_POST, schedulerpb.HttpMethod_PUT, schedulerpb.HttpMethod_PATCH:
	default:
		if len(t.GetBody()) > 0 {
			return invalid("a body goes with POST, PUT and PATCH only")
		}
	}
	size := 0
	for name, value := range t.GetHeaders() {
		size += len(name) + len(value)
		if name == "" || strings.ContainsAny(name, " :\r\n") || strings.ContainsAny(value, "\r\n") {
			return invalid("%.40q is no header", name)
		}
	}
	if size >= headersMost {
		return invalid("the headers have less than %d bytes", headersMost)
	}
	return nil
}

func checkRetries(j *schedulerpb.Job) error {
	if j.RetryConfig == nil {
		j.RetryConfig = new(schedulerpb.RetryConfig)
	}
	r := j.GetRetryConfig()
	if r.GetRetryCount() < 0 || r.GetRetryCount() > retriesMost {
		return invalid("retry_count is 0 to %d, not %d", retriesMost, r.GetRetryCount())
	}
	if r.MaxRetryDuration == nil {
		r.MaxRetryDuration = durationpb.New(0)
	}
	r.MinBackoffDuration = durationpb.New(cmp.Or(r.GetMinBackoffDuration().AsDuration(), defaultMinBackoff))
	r.MaxBackoffDuration = durationpb.New(cmp.Or(r.GetMaxBackoffDuration().AsDuration(), defaultMaxBackoff))
	r.MaxDoublings = cmp.Or(r.GetMaxDoublings(), defaultDoublings)
	if r.GetMaxRetryDuration().AsDuration() < 0 || r.GetMinBackoffDuration().AsDuration() < 0 || r.GetMaxDoublings() < 0 ||
		r.GetMaxBackoffDuration().AsDuration() < r.GetMinBackoffDuration().AsDuration() {
		return invalid("what retries wait is not negative, and the most not below the least")
	}
	return nil
}
