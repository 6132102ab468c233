package pubsub

import (
	"context"
	"strconv"
	"time"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

// lease is a message in a puller's hands until its timer fires.
type lease struct {
	delivery
	timer *time.Timer
}

// Pull returns messages that are ready now, without waiting for more: at most max_messages, and no further one
// once they exceed 10 MB.
func (s *subscriber) Pull(_ context.Context, req *pubsubpb.PullRequest) (*pubsubpb.PullResponse, error) {
	sub, err := s.find(req.GetSubscription())
	if err != nil {
		return nil, err
	}
	if sub.config().GetPushConfig().GetPushEndpoint() != "" {
		return nil, status.Errorf(codes.FailedPrecondition, "subscription %s pushes", sub.name)
	}
	if req.GetMaxMessages() < 1 {
		return nil, status.Error(codes.InvalidArgument, "max_messages must be positive")
	}
	resp := new(pubsubpb.PullResponse)
	for size := 0; size < maxRequest && len(resp.GetReceivedMessages()) < int(req.GetMaxMessages()); {
		d, id, ok := sub.lease()
		if !ok {
			break
		}
		m, err := s.disk.message(sub.name, d.seq)
		if err != nil {
			return nil, status.Errorf(codes.DataLoss, "message %s cannot be read: %v", messageID(d.seq), err)
		}
		size += len(m.GetData())
		out := &pubsubpb.ReceivedMessage{AckId: id, Message: m}
		if d.conf.GetDeadLetterPolicy() != nil {
			out.DeliveryAttempt = int32(d.attempt)
		}
		resp.ReceivedMessages = append(resp.ReceivedMessages, out)
	}
	return resp, nil
}

// Acknowledge forgets messages. Ids that are not, or no longer, valid are ignored.
func (s *subscriber) Acknowledge(_ context.Context, req *pubsubpb.AcknowledgeRequest) (*emptypb.Empty, error) {
	sub, err := s.find(req.GetSubscription())
	if err != nil {
		return nil, err
	}
	for _, id := range req.GetAckIds() {
		if d, ok := sub.release(id); ok {
			sub.acked(d.lane)
		}
	}
	return new(emptypb.Empty), nil
}

// ModifyAckDeadline gives the puller more time, or none: 0 gives the messages back.
func (s *subscriber) ModifyAckDeadline(_ context.Context, req *pubsubpb.ModifyAckDeadlineRequest) (*emptypb.Empty, error) {
	sub, err := s.find(req.GetSubscription())
	if err != nil {
		return nil, err
	}
	for _, id := range req.GetAckIds() {
		if req.GetAckDeadlineSeconds() == 0 {
			sub.expire(id)
		} else {
			sub.extend(id, time.Duration(req.GetAckDeadlineSeconds())*time.Second)
		}
	}
	return new(emptypb.Empty), nil
}

// lease hands out the next message that is ready.
func (s *subscription) lease() (delivery, string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || len(s.ready) == 0 {
		return delivery{}, "", false
	}
	d := s.take()
	id := messageID(d.seq) + "-" + strconv.Itoa(d.attempt)
	timer := time.AfterFunc(time.Duration(d.conf.GetAckDeadlineSeconds())*time.Second, func() { s.expire(id) })
	s.leases[id] = &lease{delivery: d, timer: timer}
	return d, id, true
}

// release ends a lease and returns what was leased.
func (s *subscription) release(id string) (delivery, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := s.leases[id]
	if held == nil {
		return delivery{}, false
	}
	held.timer.Stop()
	delete(s.leases, id)
	return held.delivery, true
}

// expire takes a message back that was not acknowledged.
func (s *subscription) expire(id string) {
	if d, ok := s.release(id); ok {
		s.failed(d)
	}
}

func (s *subscription) extend(id string, by time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if held := s.leases[id]; held != nil {
		held.timer.Reset(by)
	}
}
