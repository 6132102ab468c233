package scheduler

import (
	"context"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// pageMost is how many jobs one answer lists.
	pageMost = 500
	// jobsMost is how many jobs there may be.
	jobsMost = 1000
	// forcedMost is how many calls that somebody asked for may be under way, of all jobs.
	forcedMost = 32
)

// ListJobs lists the jobs of a location by name.
func (s *Server) ListJobs(_ context.Context, req *schedulerpb.ListJobsRequest) (*schedulerpb.ListJobsResponse, error) {
	if err := checkLocation(req.GetParent()); err != nil {
		return nil, err
	}
	size := int(req.GetPageSize())
	if size < 0 {
		return nil, invalid("the page size is not negative")
	}
	if size == 0 || size > pageMost {
		size = pageMost
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.jobs {
		if strings.HasPrefix(name, req.GetParent()+"/jobs/") && name > req.GetPageToken() {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := new(schedulerpb.ListJobsResponse)
	if len(names) > size {
		names = names[:size]
		out.NextPageToken = names[size-1]
	}
	for _, name := range names {
		out.Jobs = append(out.Jobs, s.jobs[name].pb)
	}
	return out, nil
}

// find returns the job, or NotFound. The lock is held.
func (s *Server) find(name string) (*job, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	j := s.jobs[name]
	if j == nil {
		return nil, status.Errorf(codes.NotFound, "the job %s does not exist", name)
	}
	return j, nil
}

// on finds a job, has do work on it, and returns it as it is then.
func (s *Server) on(name string, do func(*job) error) (*schedulerpb.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	j, err := s.find(name)
	if err != nil {
		return nil, err
	}
	if err := do(j); err != nil {
		return nil, err
	}
	s.look()
	return j.pb, nil
}

// GetJob returns a job.
func (s *Server) GetJob(_ context.Context, req *schedulerpb.GetJobRequest) (*schedulerpb.Job, error) {
	return s.on(req.GetName(), func(*job) error { return nil })
}

// CreateJob creates a job, under a random name when it has none.
func (s *Server) CreateJob(_ context.Context, req *schedulerpb.CreateJobRequest) (*schedulerpb.Job, error) {
	if err := checkLocation(req.GetParent()); err != nil {
		return nil, err
	}
	made, err := merge(&schedulerpb.Job{Name: req.GetJob().GetName(), State: schedulerpb.Job_ENABLED}, req.GetJob(), nil)
	if err != nil {
		return nil, err
	}
	if made.GetName() == "" {
		made.Name = req.GetParent() + "/jobs/" + uuid.NewString()
	}
	if err := checkName(made.GetName()); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(made.GetName(), req.GetParent()+"/jobs/") {
		return nil, invalid("the job %s does not lie in %s", made.GetName(), req.GetParent())
	}
	w, err := parseWhen(made.GetSchedule(), made.GetTimeZone())
	if err != nil {
		return nil, err
	}
	if err := checkJob(made); err != nil {
		return nil, err
	}
	return s.insert(&job{pb: made, when: w, armed: true})
}

func (s *Server) insert(j *job) (*schedulerpb.Job, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	j.pb.UserUpdateTime = timestamppb.New(now)
	j.reset(j.pb, now)
	switch {
	case s.jobs[j.pb.GetName()] != nil:
		return nil, status.Errorf(codes.AlreadyExists, "the job %s exists", j.pb.GetName())
	case len(s.jobs) >= jobsMost:
		return nil, status.Errorf(codes.ResourceExhausted, "there are %d jobs, which is the most", jobsMost)
	}
	if err := s.file.put(j.pb); err != nil {
		return nil, unwritten(err)
	}
	s.jobs[j.pb.GetName()] = j
	s.look()
	return j.pb, nil
}

func unwritten(err error) error {
	return status.Errorf(codes.Unavailable, "the file of jobs cannot be written: %v", err)
}

// UpdateJob changes what the mask names, or all that clients set.
func (s *Server) UpdateJob(_ context.Context, req *schedulerpb.UpdateJobRequest) (*schedulerpb.Job, error) {
	return s.on(req.GetJob().GetName(), func(j *job) error {
		made, err := merge(j.pb, req.GetJob(), req.GetUpdateMask())
		if err != nil {
			return err
		}
		w, err := parseWhen(made.GetSchedule(), made.GetTimeZone())
		if err != nil {
			return err
		}
		if err := checkJob(made); err != nil {
			return err
		}
		now := s.now()
		made.UserUpdateTime = timestamppb.New(now)
		if made.GetSchedule() != j.pb.GetSchedule() || made.GetTimeZone() != j.pb.GetTimeZone() {
			j.when = w
			j.reset(made, now)
		}
		if err := s.file.put(made); err != nil {
			return unwritten(err)
		}
		j.pb, j.armed = made, j.armed || sets(req.GetUpdateMask(), "http_target")
		return nil
	})
}

// DeleteJob deletes a job. An attempt that is under way goes on.
func (s *Server) DeleteJob(_ context.Context, req *schedulerpb.DeleteJobRequest) (*emptypb.Empty, error) {
	_, err := s.on(req.GetName(), func(j *job) error {
		if err := s.file.remove(j.pb.GetName()); err != nil {
			return unwritten(err)
		}
		delete(s.jobs, j.pb.GetName())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return new(emptypb.Empty), nil
}

// PauseJob keeps a job from being called by its schedule.
func (s *Server) PauseJob(_ context.Context, req *schedulerpb.PauseJobRequest) (*schedulerpb.Job, error) {
	return s.turn(req.GetName(), schedulerpb.Job_ENABLED, schedulerpb.Job_PAUSED)
}

// ResumeJob lets a job be called again, from its next time on.
func (s *Server) ResumeJob(_ context.Context, req *schedulerpb.ResumeJobRequest) (*schedulerpb.Job, error) {
	return s.turn(req.GetName(), schedulerpb.Job_PAUSED, schedulerpb.Job_ENABLED)
}

func (s *Server) turn(name string, from, to schedulerpb.Job_State) (*schedulerpb.Job, error) {
	return s.on(name, func(j *job) error {
		if j.pb.GetState() != from {
			return status.Errorf(codes.FailedPrecondition, "the job is %s; it must be %s", j.pb.GetState(), from)
		}
		if err := s.change(j, func(pb *schedulerpb.Job) {
			now := s.now()
			pb.State, pb.UserUpdateTime = to, timestamppb.New(now)
			j.reset(pb, now)
		}); err != nil {
			return unwritten(err)
		}
		return nil
	})
}

// RunJob calls a job now, whatever its schedule says: also when it is paused, or under way already. It is not retried.
func (s *Server) RunJob(_ context.Context, req *schedulerpb.RunJobRequest) (*schedulerpb.Job, error) {
	return s.on(req.GetName(), func(j *job) error {
		if !j.armed {
			return status.Error(codes.FailedPrecondition, "the job's target is one of an earlier run; give it one first")
		}
		select {
		case s.forced <- struct{}{}:
		default:
			return status.Errorf(codes.ResourceExhausted, "%d calls that were asked for are under way", forcedMost)
		}
		now := s.now()
		s.note(j, func(pb *schedulerpb.Job) { pb.LastAttemptTime = timestamppb.New(now) })
		a := attempt{job: j, pb: proto.CloneOf(j.pb), at: now.Truncate(time.Second), forced: true}
		s.work.Go(func() {
			s.settle(a, s.call(s.alive, a))
			<-s.forced
		})
		return nil
	})
}
