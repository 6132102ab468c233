package pubsub

import (
	"net/url"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/mesherhq/mesher/shared/topic"
)

// What the service refuses is refused here, so that it is found on the laptop.

var resourceName = regexp.MustCompile(`^projects/[^/]+/(topics|subscriptions)/[A-Za-z][A-Za-z0-9._~%+-]{2,254}$`)

func invalid(format string, args ...any) error {
	return status.Errorf(codes.InvalidArgument, format, args...)
}

func checkName(name, kind string) error {
	m := resourceName.FindStringSubmatch(name)
	if m == nil || m[1] != kind {
		return invalid("%q is not of the form projects/<project>/%s/<name>, with a name of 3 to 255 letters, "+
			"digits, and -._~%%+ that begins with a letter", name, kind)
	}
	return nil
}

func inProject(name, project string) bool { return strings.HasPrefix(name, project+"/") }

func checkPublish(req *pubsubpb.PublishRequest) error {
	messages := req.GetMessages()
	if len(messages) < 1 || len(messages) > 1000 {
		return invalid("a request publishes 1 to 1,000 messages, this one has %d", len(messages))
	}
	for _, m := range messages {
		switch {
		case len(m.GetData()) > topic.MaxData:
			return invalid("data holds at most %d bytes, this has %d", topic.MaxData, len(m.GetData()))
		case len(m.GetData()) == 0 && len(m.GetAttributes()) == 0:
			return invalid("a message needs data or an attribute")
		case len(m.GetOrderingKey()) > 1024:
			return invalid("an ordering key has at most 1,024 bytes, this has %d", len(m.GetOrderingKey()))
		case m.GetOrderingKey() != messages[0].GetOrderingKey():
			return invalid("the messages of a request must have the same ordering key")
		case len(m.GetAttributes()) > 100:
			return invalid("a message has at most 100 attributes, this has %d", len(m.GetAttributes()))
		}
		for k, v := range m.GetAttributes() {
			if k == "" || len(k) > 256 || len(v) > 1024 {
				return invalid("an attribute has a key of 1 to 256 bytes and a value of up to 1,024: %.40q", k)
			}
		}
	}
	return nil
}

func checkSubscription(c *pubsubpb.Subscription) error {
	push := c.GetPushConfig()
	switch {
	case c.GetFilter() != "", c.GetEnableExactlyOnceDelivery(), c.GetBigqueryConfig() != nil,
		c.GetCloudStorageConfig() != nil, push.GetNoWrapper() != nil, len(c.GetMessageTransforms()) > 0:
		return status.Error(codes.Unimplemented,
			"filters, exactly-once delivery, exports, transforms and unwrapped pushes do not exist here")
	case c.GetAckDeadlineSeconds() < 10 || c.GetAckDeadlineSeconds() > 600:
		return invalid("the acknowledgement deadline is 10 to 600 s, not %d", c.GetAckDeadlineSeconds())
	}
	if endpoint := push.GetPushEndpoint(); endpoint != "" {
		u, err := url.Parse(endpoint)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return invalid("the push endpoint %q is not an http URL", endpoint)
		}
	}
	if p := c.GetDeadLetterPolicy(); p != nil {
		if err := checkName(p.GetDeadLetterTopic(), "topics"); err != nil {
			return err
		}
		if p.GetMaxDeliveryAttempts() == 0 {
			p.MaxDeliveryAttempts = 5 // the service's default
		}
		if p.GetMaxDeliveryAttempts() < 5 || p.GetMaxDeliveryAttempts() > 100 {
			return invalid("max_delivery_attempts is 5 to 100, not %d", p.GetMaxDeliveryAttempts())
		}
	}
	for _, d := range []time.Duration{
		c.GetRetryPolicy().GetMinimumBackoff().AsDuration(), c.GetRetryPolicy().GetMaximumBackoff().AsDuration(),
	} {
		if d < 0 || d > 600*time.Second {
			return invalid("a backoff is 0 to 600 s, not %s", d)
		}
	}
	return nil
}
