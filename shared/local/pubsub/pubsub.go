// Package pubsub is the laptop's Pub/Sub: a server on loopback that the real client library talks to, with
// durable topics, ordered push subscriptions, retries with backoff and dead-lettering.
//
// It speaks the parts of google.pubsub.v1 that Mesher uses and answers Unimplemented to the rest: no filters, no
// seek, no snapshots, no streaming pull, no schemas, and one token instead of identities. What it does, it does as
// the service does: at least once, one outstanding message per ordering key, an acknowledgement deadline on each push.
//
// A publish is answered once it is in the file. The file is not synced, so an accepted message survives the death
// of the process in any manner (kill -9 included), but not a power failure or a crash of the operating system.
// Payloads stay in the file until they are pushed; memory holds a few words per waiting message.
//
// publish:  publisher.go → disk.go (one transaction for all that wait) → subscription.go (order, who is next)
// delivery: subscription.go → push.go → acknowledged, retried later, or deadletter.go
package pubsub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"sync"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"google.golang.org/grpc"

	"github.com/mesherhq/mesher/shared/loopback"
)

// maxRequest is the most bytes one request may have, as at the service.
const maxRequest = 10 << 20

// maxHeaders is the most bytes the headers of one request may have; they are read before its token is known.
const maxHeaders = 32 << 10

// Options say how a Server runs. Only Path is required.
type Options struct {
	// Path of the file that holds topics, subscriptions and undelivered messages. It and its folder are created
	// if missing. One server at a time can have it open.
	Path string
	// Listen is the address of the server, by default 127.0.0.1:0, a free port on loopback.
	Listen string
	// Token is what every request must carry as its bearer token. Empty: everyone who reaches the address, which
	// is every user of the machine, may publish, read and redirect messages.
	Token string
	// MaxOutstanding bounds the pushes in flight per subscription, by default 64.
	MaxOutstanding int
	// Logger gets failed pushes and dead-lettered messages, by default nothing.
	Logger *slog.Logger
	// Duplicates makes the server deliver messages more than once, to test subscribers.
	Duplicates Duplicates
}

// Duplicates are deliveries that the service is free to repeat and seldom does. For tests only.
type Duplicates struct {
	// AfterAck is the probability, below 1, that an acknowledgement is lost: the message is delivered again
	// before the next one of its key.
	AfterAck float64
	// AtOnce is the probability that a message is pushed twice at the same time.
	AtOnce float64
}

// Server is a running Pub/Sub. It is safe for concurrent use.
type Server struct {
	opts     Options
	disk     *disk
	grpc     *grpc.Server
	listener net.Listener
	client   *http.Client
	//nolint:containedctx // the life of the server: a push belongs to no caller
	alive context.Context
	kill  context.CancelFunc
	work  sync.WaitGroup // goroutines that push, and the one that serves

	mu     sync.RWMutex // guards the maps; both change only on the disk's goroutine
	topics map[string]*pubsubpb.Topic
	subs   map[string]*subscription
	// closing stops subscriptions that are created while the server closes.
	closing bool
}

// Open starts a server on the file at o.Path. Messages that were not acknowledged when the file was last used
// are delivered again, in order. A push subscription waits until it is declared in this run (Declare does): the
// port in an endpoint of the last run may belong to another program by now.
//
// ctx ends with the call. Open fails when the file is not one of this package's, when another process has it
// open, or when the address is taken.
func Open(ctx context.Context, o Options) (*Server, error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.MaxOutstanding <= 0 {
		o.MaxOutstanding = 64
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	d, err := openDisk(o.Path)
	if err != nil {
		return nil, fmt.Errorf("open the message file %s: %w", o.Path, err)
	}
	s := &Server{
		opts: o, disk: d, client: newPushClient(o.MaxOutstanding),
		topics: map[string]*pubsubpb.Topic{}, subs: map[string]*subscription{},
	}
	s.alive, s.kill = context.WithCancel(context.WithoutCancel(ctx))
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the message file %s: %w", o.Path, err), d.close())
	}
	if s.listener, err = new(net.ListenConfig).Listen(ctx, "tcp", o.Listen); err != nil {
		return nil, errors.Join(fmt.Errorf("listen for Pub/Sub clients: %w", err), d.close())
	}
	serving := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxRequest), grpc.MaxHeaderListSize(maxHeaders),
		// A whole batch of events fits in the window, so that publishing one takes a single round trip.
		grpc.InitialWindowSize(4 << 20), grpc.InitialConnWindowSize(16 << 20),
	}
	if o.Token != "" {
		serving = append(serving, loopback.Guard(o.Token, "this Pub/Sub asks for its token, which PUBSUB_EMULATOR_TOKEN must hold"))
	}
	s.grpc = grpc.NewServer(serving...)
	pubsubpb.RegisterPublisherServer(s.grpc, &publisher{Server: s})
	pubsubpb.RegisterSubscriberServer(s.grpc, &subscriber{Server: s})
	s.work.Go(func() {
		if err := s.grpc.Serve(s.listener); err != nil {
			s.opts.Logger.Error("the local Pub/Sub stopped serving", "error", err)
		}
	})
	return s, nil
}

// load fills the maps from the file.
func (s *Server) load() error {
	topics, subs, err := s.disk.config()
	if err != nil {
		return err
	}
	for _, t := range topics {
		s.topics[t.GetName()] = t
	}
	for _, conf := range subs {
		sub := newSubscription(s, conf)
		// Nothing was declared yet, so nothing is pushed while the queue fills.
		if err := s.disk.waiting(conf.GetName(), sub.offer); err != nil {
			return err
		}
		s.subs[conf.GetName()] = sub
	}
	return nil
}

// Addr returns the host and port to set as PUBSUB_EMULATOR_HOST.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Backlog returns how many messages the subscription has that are not acknowledged, those being pushed included.
// The subscription is named in full (projects/<project>/subscriptions/<name>) or by its last part. It is 0 for
// one that does not exist.
func (s *Server) Backlog(subscription string) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	n := 0
	for name, sub := range s.subs {
		if name == subscription || path.Base(name) == subscription {
			n += sub.size()
		}
	}
	return n
}

// Close stops serving and pushing. Requests and pushes in flight are finished, until ctx is over; what is not
// acknowledged by then stays in the file for the next run.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	for _, sub := range s.subs {
		sub.stop()
	}
	s.mu.Unlock()
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		s.work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		s.grpc.Stop()
		s.kill()
		<-done // pushes end at once, and handlers wait for nothing but the disk
	}
	s.kill()
	s.client.CloseIdleConnections()
	if err := s.disk.close(); err != nil {
		return fmt.Errorf("close the message file: %w", err)
	}
	return nil
}
