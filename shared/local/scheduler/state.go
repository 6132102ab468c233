package scheduler

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"cloud.google.com/go/scheduler/apiv1/schedulerpb"
	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// job is a job and where it stands. Its pb is what clients see; it is replaced, never changed, once it is in the map.
type job struct {
	pb       *schedulerpb.Job
	when     when
	armed    bool      // it got its target in this run
	busy     bool      // an attempt is under way
	run      time.Time // the time of the schedule that is being served
	first    time.Time // when it was attempted first
	attempts int       // how often that has failed
}

// waits reports whether the job is called when its time comes.
func (j *job) waits() bool { return j.armed && !j.busy && j.pb.GetState() == schedulerpb.Job_ENABLED }

// due returns when it is called next: at a time of its schedule, or to try again what failed.
func (j *job) due() time.Time { return j.pb.GetScheduleTime().AsTime() }

// change replaces the job with a copy that edit has changed, once that is in the file.
func (s *Server) change(j *job, edit func(pb *schedulerpb.Job)) error {
	pb := proto.CloneOf(j.pb)
	edit(pb)
	if err := s.file.put(pb); err != nil {
		return err
	}
	j.pb = pb
	return nil
}

// reset has the job wait for the first time of its schedule after now.
func (j *job) reset(pb *schedulerpb.Job, now time.Time) {
	j.attempts = 0
	pb.ScheduleTime = timestamppb.New(j.when.after(now))
}

// load fills the map from the file.
func (s *Server) load() error {
	all, err := s.file.all()
	if err != nil {
		return err
	}
	for _, pb := range all {
		w, err := parseWhen(pb.GetSchedule(), pb.GetTimeZone())
		if err != nil {
			return fmt.Errorf("%s: %w", pb.GetName(), err)
		}
		s.jobs[pb.GetName()] = &job{pb: pb, when: w}
	}
	return nil
}

// file keeps the jobs. It is not synced: what is in it survives the death of the process in any manner, but not a power
// failure. Each job is called again when what came of its last attempt is lost.
type file struct{ db *bolt.DB }

// bucket is where jobs lie, by name.
const bucket = "jobs"

func openFile(path string) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second, NoSync: true, NoGrowSync: true, NoFreelistSync: true})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("another process uses it: %w", err)
	}
	if err != nil {
		return nil, err
	}
	if err := db.Update(func(tx *bolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte(bucket))
		return err
	}); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &file{db}, nil
}

func (f *file) close() error { return f.db.Close() }

func (f *file) all() ([]*schedulerpb.Job, error) {
	var out []*schedulerpb.Job
	err := f.db.View(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucket)).ForEach(func(_, value []byte) error {
			pb := new(schedulerpb.Job)
			out = append(out, pb)
			return proto.Unmarshal(value, pb)
		})
	})
	return out, err
}

func (f *file) put(pb *schedulerpb.Job) error {
	value, err := proto.Marshal(pb)
	if err != nil {
		return err
	}
	return f.db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(pb.GetName()), value) })
}

func (f *file) remove(name string) error {
	return f.db.Update(func(tx *bolt.Tx) error { return tx.Bucket([]byte(bucket)).Delete([]byte(name)) })
}
