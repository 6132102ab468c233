package pubsub

import (
	"maps"
	"path"
	"strconv"
	"strings"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	bolt "go.etcd.io/bbolt"
)

// deadLetter moves the message of d to the dead-letter topic, in one transaction, and lets its lane go on. It
// returns false when that is impossible, so that the message is tried again: nothing is ever dropped for want of
// a place to put it.
func (s *subscription) deadLetter(d delivery) bool {
	to := d.conf.GetDeadLetterPolicy().GetDeadLetterTopic()
	log := s.srv.opts.Logger.With("subscription", s.name, "message_id", messageID(d.seq), "topic", to)
	m, err := s.srv.disk.message(s.name, d.seq)
	if err != nil {
		log.Error("a message cannot be read", "error", err)
		return false
	}
	attrs := maps.Clone(m.GetAttributes())
	if attrs == nil {
		attrs = map[string]string{}
	}
	// The names and forms are the service's.
	attrs["CloudPubSubDeadLetterSourceDeliveryCount"] = strconv.Itoa(d.attempt)
	attrs["CloudPubSubDeadLetterSourceSubscription"] = path.Base(s.name)
	attrs["CloudPubSubDeadLetterSourceSubscriptionProject"] = strings.Split(s.name, "/")[1]
	attrs["CloudPubSubDeadLetterSourceTopicPublishTime"] = m.GetPublishTime().AsTime().Format("2006-01-02T15:04:05.000Z07:00")
	r, err := newRecord(&pubsubpb.PubsubMessage{
		Data: m.GetData(), Attributes: attrs, OrderingKey: m.GetOrderingKey(), PublishTime: m.GetPublishTime(),
	})
	if err == nil {
		_, err = s.srv.publish(to, []record{r}, func(tx *bolt.Tx) error { return deleteMessage(tx, s.name, d.seq) })
	}
	if err != nil {
		log.Warn("a message cannot be dead-lettered", "error", err)
		return false
	}
	log.Warn("a message is dead-lettered", "attempts", d.attempt)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pop(d.lane)
	s.start(1) // the caller need not be a worker: a puller may have refused it
	return true
}
