package pubsub

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

const (
	// maxBatch bounds the payload of one transaction, and with it the memory and time it takes.
	maxBatch = 32 << 20
	// Acknowledged messages are removed together: after removeDelay, or when removeCount of them wait. After a
	// kill -9 they are delivered once more.
	removeDelay = 20 * time.Millisecond
	removeCount = 512
)

// errClosed is what is told to those who come after close.
var errClosed = errors.New("the local Pub/Sub is closed")

// disk is the message file. One goroutine writes it: everything that waits for it goes into one transaction, so
// many publishers cost little more than one.
//
// bbolt writes pages copy-on-write and the meta page that makes them visible last, with a checksum. With NoSync
// all of it goes to the page cache, which outlives the process: a kill at any point leaves the last complete
// transaction. The list of free pages is not written (it would be rewritten with each commit) but rebuilt when
// the file is opened.
type disk struct {
	db   *bolt.DB
	jobs chan *job
	wake chan struct{} // acknowledged messages are due for removal
	quit chan struct{}
	done chan struct{}
	seq  uint64 // of the last message; the writer's own

	mu    sync.Mutex
	acked []position
	timer *time.Timer
}

// job is one change of the file. change may run in one transaction with others' and must only fail when the file
// does. after runs when the transaction is committed, in the order of the jobs, before the submitter returns.
type job struct {
	size   int
	change func(*bolt.Tx) error
	after  func()
	result chan error
}

// position names a message of a subscription.
type position struct {
	sub string
	seq uint64
}

func openDisk(path string) (*disk, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	db, err := bolt.Open(path, 0o600, &bolt.Options{
		Timeout: time.Second, NoSync: true, NoGrowSync: true, NoFreelistSync: true, NoStatistics: true,
		FreelistType: bolt.FreelistMapType,
		// Growing the mapping waits for all readers. This much address space is free of charge.
		InitialMmapSize: 1 << 30,
	})
	if errors.Is(err, berrors.ErrTimeout) {
		return nil, fmt.Errorf("another process uses it: %w", err)
	}
	if err != nil {
		return nil, err
	}
	d := &disk{
		db: db, jobs: make(chan *job, 256), wake: make(chan struct{}, 1),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	if err := db.Update(d.prepare); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	go d.run()
	return d, nil
}

// submit makes a change and returns when it is in the file.
func (d *disk) submit(size int, change func(*bolt.Tx) error, after func()) error {
	j := &job{size: size, change: change, after: after, result: make(chan error, 1)}
	select {
	case d.jobs <- j:
	case <-d.done:
		return errClosed
	}
	select {
	case err := <-j.result:
		return err
	case <-d.done:
		// The writer may have finished this very job before it ended.
		select {
		case err := <-j.result:
			return err
		default:
			return errClosed
		}
	}
}

// remove forgets an acknowledged message, soon.
func (d *disk) remove(sub string, seq uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acked = append(d.acked, position{sub, seq})
	if d.timer == nil {
		d.timer = time.AfterFunc(removeDelay, d.removeNow)
	}
	if len(d.acked) == removeCount {
		d.removeNow()
	}
}

func (d *disk) removeNow() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

// run is the writer.
func (d *disk) run() {
	defer close(d.done)
	for {
		select {
		case j := <-d.jobs:
			d.commit(d.gather(j))
		case <-d.wake:
			d.commit(nil)
		case <-d.quit:
			d.commit(d.gather(nil))
			return
		}
	}
}

// gather takes what waits, without waiting for more.
func (d *disk) gather(first *job) []*job {
	var jobs []*job
	size := 0
	if first != nil {
		jobs, size = append(jobs, first), first.size
	}
	for size < maxBatch {
		select {
		case j := <-d.jobs:
			jobs = append(jobs, j)
			size += j.size
		default:
			return jobs
		}
	}
	return jobs
}

// commit makes the changes of all jobs, and removes the acknowledged messages along the way.
func (d *disk) commit(jobs []*job) {
	d.mu.Lock()
	acked := d.acked
	d.acked = nil
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
	d.mu.Unlock()
	if len(jobs) == 0 && len(acked) == 0 {
		return
	}
	err := d.db.Update(func(tx *bolt.Tx) error {
		for _, j := range jobs {
			if err := j.change(tx); err != nil {
				return err
			}
		}
		for _, p := range acked {
			if err := deleteMessage(tx, p.sub, p.seq); err != nil {
				return err
			}
		}
		return tx.Bucket(messagesBucket).SetSequence(d.seq)
	})
	if err != nil {
		d.mu.Lock()
		d.acked = append(d.acked, acked...) // goes with the next commit
		d.mu.Unlock()
	}
	for _, j := range jobs {
		if err == nil && j.after != nil {
			j.after()
		}
		j.result <- err
	}
}

// close writes what is left and closes the file. Nothing may be submitted any more.
func (d *disk) close() error {
	close(d.quit)
	<-d.done
	return d.db.Close()
}
