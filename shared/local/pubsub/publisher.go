package pubsub

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// deletedTopic stands in a subscription whose topic is gone, as at the service.
const deletedTopic = "_deleted-topic_"

// publisher is google.pubsub.v1.Publisher.
type publisher struct {
	pubsubpb.UnimplementedPublisherServer
	*Server
}

// Publish stores the messages for each of the topic's subscriptions and returns their ids. A topic without
// subscriptions keeps nothing.
func (p *publisher) Publish(_ context.Context, req *pubsubpb.PublishRequest) (*pubsubpb.PublishResponse, error) {
	if err := checkPublish(req); err != nil {
		return nil, err
	}
	records := make([]record, 0, len(req.GetMessages()))
	now := timestamppb.Now()
	for _, m := range req.GetMessages() {
		m.PublishTime = now
		r, err := newRecord(m)
		if err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
		records = append(records, r)
	}
	ids, err := p.publish(req.GetTopic(), records, nil)
	if err != nil {
		return nil, err
	}
	return &pubsubpb.PublishResponse{MessageIds: ids}, nil
}

// publish stores records for all subscriptions of a topic, together with another change if there is one. Errors
// are gRPC statuses.
func (s *Server) publish(topic string, records []record, with func(*bolt.Tx) error) ([]string, error) {
	size := 0
	for _, r := range records {
		size += r.size()
	}
	var (
		first uint64
		subs  []*subscription
		found = true
	)
	err := s.disk.submit(size, func(tx *bolt.Tx) error {
		if subs, found = s.subscribed(topic); !found {
			return nil
		}
		first = s.disk.seq + 1
		s.disk.seq += uint64(len(records))
		for _, sub := range subs {
			for i, r := range records {
				if err := putMessage(tx, sub.name, first+uint64(i), r); err != nil {
					return err
				}
			}
		}
		if with != nil {
			return with(tx)
		}
		return nil
	}, func() {
		for _, sub := range subs {
			for i, r := range records {
				sub.offer(first+uint64(i), r.key)
			}
		}
	})
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "the message file cannot be written: %v", err)
	}
	if !found {
		return nil, status.Errorf(codes.NotFound, "topic %s does not exist", topic)
	}
	ids := make([]string, len(records))
	for i := range ids {
		ids[i] = messageID(first + uint64(i))
	}
	return ids, nil
}

func messageID(seq uint64) string { return strconv.FormatUint(seq, 10) }

// subscribed returns the subscriptions of a topic and whether the topic exists.
func (s *Server) subscribed(topic string) ([]*subscription, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.topics[topic] == nil {
		return nil, false
	}
	var subs []*subscription
	for _, sub := range s.subs {
		if sub.config().GetTopic() == topic {
			subs = append(subs, sub)
		}
	}
	return subs, true
}

// CreateTopic creates a topic.
func (p *publisher) CreateTopic(_ context.Context, t *pubsubpb.Topic) (*pubsubpb.Topic, error) {
	if err := checkName(t.GetName(), "topics"); err != nil {
		return nil, err
	}
	exists := false
	return t, p.change(func(tx *bolt.Tx) error {
		if exists = tx.Bucket(topicsBucket).Get([]byte(t.GetName())) != nil; exists {
			return nil
		}
		return putConfig(tx, topicsBucket, t.GetName(), t)
	}, func() error {
		if exists {
			return status.Errorf(codes.AlreadyExists, "topic %s exists", t.GetName())
		}
		p.topics[t.GetName()] = t
		return nil
	})
}

// GetTopic returns a topic.
func (p *publisher) GetTopic(_ context.Context, req *pubsubpb.GetTopicRequest) (*pubsubpb.Topic, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if t := p.topics[req.GetTopic()]; t != nil {
		return t, nil
	}
	return nil, status.Errorf(codes.NotFound, "topic %s does not exist", req.GetTopic())
}

// ListTopics returns all topics of a project on one page.
func (p *publisher) ListTopics(_ context.Context, req *pubsubpb.ListTopicsRequest) (*pubsubpb.ListTopicsResponse, error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	resp := new(pubsubpb.ListTopicsResponse)
	for _, name := range slices.Sorted(maps.Keys(p.topics)) {
		if inProject(name, req.GetProject()) {
			resp.Topics = append(resp.Topics, p.topics[name])
		}
	}
	return resp, nil
}

// DeleteTopic deletes a topic. Its subscriptions keep what they have.
func (p *publisher) DeleteTopic(_ context.Context, req *pubsubpb.DeleteTopicRequest) (*emptypb.Empty, error) {
	name := req.GetTopic()
	subs, found := p.subscribed(name)
	if !found {
		return nil, status.Errorf(codes.NotFound, "topic %s does not exist", name)
	}
	for _, sub := range subs {
		if _, err := p.update(sub, func(conf *pubsubpb.Subscription) { conf.Topic = deletedTopic }); err != nil {
			return nil, err
		}
	}
	return new(emptypb.Empty), p.change(func(tx *bolt.Tx) error {
		return tx.Bucket(topicsBucket).Delete([]byte(name))
	}, func() error {
		delete(p.topics, name)
		return nil
	})
}

// change changes the file and then, with mu held, the maps. Errors are gRPC statuses.
func (s *Server) change(file func(*bolt.Tx) error, maps func() error) error {
	var refused error
	err := s.disk.submit(0, file, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		refused = maps()
	})
	if err != nil {
		return status.Errorf(codes.Unavailable, "the message file cannot be written: %v", err)
	}
	return refused
}
