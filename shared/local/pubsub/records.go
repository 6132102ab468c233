package pubsub

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/protobuf/proto"
)

// The file holds three buckets. Topics and subscriptions map names to their protocol buffers. Messages holds a
// bucket per subscription, which maps sequence number and chunk number to a chunk: its first begins with the
// length of the header and the header (the message without its data), and data fills the rest and the others.
// A message of a topic with several subscriptions is stored once for each.
var (
	topicsBucket        = []byte("topics")
	subscriptionsBucket = []byte("subscriptions")
	messagesBucket      = []byte("messages")
)

// chunkSize is how a payload is cut up. bbolt rewrites up to four neighbors with each value, so with whole payloads
// of 1 MB each publish writes 4 MB and takes three times as long.
const chunkSize = 8 << 10

var errCorrupt = errors.New("a stored message is damaged")

// record is a message ready to be stored.
type record struct {
	key    string // ordering key
	header []byte
	data   []byte
}

func newRecord(m *pubsubpb.PubsubMessage) (record, error) {
	header, err := proto.Marshal(&pubsubpb.PubsubMessage{
		Attributes: m.GetAttributes(), OrderingKey: m.GetOrderingKey(), PublishTime: m.GetPublishTime(),
	})
	if err != nil {
		return record{}, fmt.Errorf("encode a message: %w", err)
	}
	return record{key: m.GetOrderingKey(), header: header, data: m.GetData()}, nil
}

func (r record) size() int { return len(r.header) + len(r.data) }

func chunkKey(seq uint64, chunk int) []byte {
	k := make([]byte, 0, 12)
	k = binary.BigEndian.AppendUint64(k, seq)
	return binary.BigEndian.AppendUint32(k, uint32(chunk))
}

// prepare creates what is missing and reads where the last run ended.
func (d *disk) prepare(tx *bolt.Tx) error {
	for _, name := range [][]byte{topicsBucket, subscriptionsBucket, messagesBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	d.seq = tx.Bucket(messagesBucket).Sequence()
	return nil
}

// putMessage stores r for a subscription. One that is gone gets nothing.
func putMessage(tx *bolt.Tx, sub string, seq uint64, r record) error {
	b := tx.Bucket(messagesBucket).Bucket([]byte(sub))
	if b == nil {
		return nil
	}
	b.FillPercent = 1 // keys only ever grow
	n := min(len(r.data), max(0, chunkSize-len(r.header)))
	first := make([]byte, 0, binary.MaxVarintLen32+len(r.header)+n)
	first = binary.AppendUvarint(first, uint64(len(r.header)))
	first = append(append(first, r.header...), r.data[:n]...)
	if err := b.Put(chunkKey(seq, 0), first); err != nil {
		return err
	}
	chunk := 0
	for part := range slices.Chunk(r.data[n:], chunkSize) {
		chunk++
		if err := b.Put(chunkKey(seq, chunk), part); err != nil {
			return err
		}
	}
	return nil
}

// deleteMessage removes a message; one that is not there is no error.
func deleteMessage(tx *bolt.Tx, sub string, seq uint64) error {
	b := tx.Bucket(messagesBucket).Bucket([]byte(sub))
	if b == nil {
		return nil
	}
	for chunk := 0; ; chunk++ {
		k := chunkKey(seq, chunk)
		if b.Get(k) == nil {
			return nil
		}
		if err := b.Delete(k); err != nil {
			return err
		}
	}
}

// message reads a stored message. Its data is a copy.
func (d *disk) message(sub string, seq uint64) (*pubsubpb.PubsubMessage, error) {
	var m *pubsubpb.PubsubMessage
	err := d.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(messagesBucket).Bucket([]byte(sub))
		if b == nil {
			return errCorrupt
		}
		var parts [][]byte
		prefix := chunkKey(seq, 0)[:8]
		c := b.Cursor()
		for k, v := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, v = c.Next() {
			parts = append(parts, v)
		}
		if len(parts) == 0 {
			return errCorrupt
		}
		var err error
		if m, parts[0], err = parseFirst(parts[0]); err != nil {
			return err
		}
		m.Data = bytes.Join(parts, nil)
		m.MessageId = messageID(seq)
		return nil
	})
	return m, err
}

// parseFirst splits a first chunk into its header and the data that follows.
func parseFirst(chunk []byte) (*pubsubpb.PubsubMessage, []byte, error) {
	size, n := binary.Uvarint(chunk)
	if n <= 0 || size > uint64(len(chunk)-n) {
		return nil, nil, errCorrupt
	}
	m := new(pubsubpb.PubsubMessage)
	if err := proto.Unmarshal(chunk[n:n+int(size)], m); err != nil {
		return nil, nil, errors.Join(errCorrupt, err)
	}
	return m, chunk[n+int(size):], nil
}

// waiting calls offer with each stored message of a subscription, oldest first.
func (d *disk) waiting(sub string, offer func(seq uint64, key string)) error {
	return d.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(messagesBucket).Bucket([]byte(sub))
		if b == nil {
			return nil
		}
		c := b.Cursor()
		for k, v := c.First(); k != nil; {
			m, _, err := parseFirst(v)
			if err != nil {
				return err
			}
			seq := binary.BigEndian.Uint64(k)
			offer(seq, m.GetOrderingKey())
			k, v = c.Seek(chunkKey(seq+1, 0))
		}
		return nil
	})
}

// config reads all topics and subscriptions.
func (d *disk) config() (topics []*pubsubpb.Topic, subs []*pubsubpb.Subscription, err error) {
	err = d.db.View(func(tx *bolt.Tx) error {
		err := tx.Bucket(topicsBucket).ForEach(func(_, v []byte) error {
			topics = append(topics, new(pubsubpb.Topic))
			return proto.Unmarshal(v, topics[len(topics)-1])
		})
		if err != nil {
			return err
		}
		return tx.Bucket(subscriptionsBucket).ForEach(func(_, v []byte) error {
			subs = append(subs, new(pubsubpb.Subscription))
			return proto.Unmarshal(v, subs[len(subs)-1])
		})
	})
	return topics, subs, err
}

// putConfig stores a topic or subscription.
func putConfig(tx *bolt.Tx, bucket []byte, name string, conf proto.Message) error {
	v, err := proto.Marshal(conf)
	if err != nil {
		return err
	}
	return tx.Bucket(bucket).Put([]byte(name), v)
}
