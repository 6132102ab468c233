package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/mesherhq/mesher/shared/postgres"
)

// Rows that the database refuses together are inserted one by one, all in one transaction and without waiting for
// the answer about one before the next is sent: what a refused row costs is not a round trip, let alone the many
// transactions of a search by halves. Each row stands between savepoints:
//
//	savepoint row
//	insert; count; release row; savepoint row   ┐ skipped from the statement on that fails
//	rollback to row                             ┘ undoes a row that failed, or nothing: the savepoint is new
//	insert; …
//
// The transaction is open before the first of them is sent, so that a pooler passes all of them to one server.

// eachLockWait is how long a row waits for an issue that somebody edits. The rows after it are on their way
// already and would wait for the same issue, each for itself.
const eachLockWait = "set local lock_timeout = '20ms'"

// commitEach inserts and counts the fresh rows of c one by one, and commits. Those that the database refuses
// move to the refused ones.
func commitEach(ctx context.Context, pg *pgconn.PgConn, project uuid.UUID, c *choice) error {
	refused, err := insertEach(ctx, pg, project, c.fresh)
	if err != nil {
		return err
	}
	c.refused = append(c.refused, refused...)
	c.n.stored -= len(refused)
	return commit(ctx, pg, project, nil, c.n)
}

// insertEach inserts and counts rows one by one and returns those that the database refuses. After any other
// error, the transaction is to be rolled back.
func insertEach(ctx context.Context, pg *pgconn.PgConn, project uuid.UUID, rows []row) (refused []refusal, err error) {
	p := pg.StartPipeline(ctx)
	defer func() {
		if e := p.Close(); err == nil && e != nil {
			err = fmt.Errorf("store events one by one: %w", e)
		}
	}()
	if err := sendEach(p, project, rows); err != nil {
		return nil, err
	}
	if err := answer(p); err != nil {
		return nil, fmt.Errorf("store events one by one: %w", err)
	}
	for i := range rows {
		err := answer(p)
		switch {
		case err == nil:
		case postgres.Data(err), postgres.Duplicate(err):
			refused = append(refused, refusal{&rows[i], err})
		default:
			return nil, fmt.Errorf("store events one by one: %w", err)
		}
		if err := answer(p); err != nil { // to the rollback
			return nil, fmt.Errorf("store events one by one: %w", err)
		}
	}
	if err := answer(p); err != nil {
		return nil, fmt.Errorf("store events one by one: %w", err)
	}
	return refused, nil
}

// sendEach sends everything that insertEach reads the answers to.
func sendEach(p *pgconn.Pipeline, project uuid.UUID, rows []row) error {
	send := func(statements ...string) {
		for _, sql := range statements {
			p.SendQueryParams(sql, nil, nil, nil, nil)
		}
	}
	// What is checked at the commit only would not be known to be one row's fault.
	send(eachLockWait, "set constraints all immediate", "savepoint row")
	p.SendPipelineSync()
	insert, binaryFormat := insertSQL(), []int16{1}
	for i := range rows {
		count, err := countersSQL(project, rows[i:i+1])
		if err != nil {
			return err
		}
		p.SendQueryParams(insert, fields(rows[i].tuple), nil, binaryFormat, nil)
		send(count, "release row", "savepoint row")
		p.SendPipelineSync()
		send("rollback to row")
		p.SendPipelineSync()
		if err := p.Flush(); err != nil {
			return fmt.Errorf("store events one by one: %w", err)
		}
	}
	send(lockWait)
	if err := p.Sync(); err != nil {
		return fmt.Errorf("store events one by one: %w", err)
	}
	return nil
}

// answer reads the answers to all statements up to the next Sync and returns the first error.
func answer(p *pgconn.Pipeline) error {
	var first error
	for {
		results, err := p.GetResults()
		switch r := results.(type) {
		case *pgconn.PipelineSync:
			return first
		case *pgconn.ResultReader:
			_, err = r.Close()
		case nil:
			if err == nil {
				err = errors.New("the connection ended")
			}
		}
		if first == nil {
			first = err
		}
		if err != nil && !errors.As(err, new(*pgconn.PgError)) {
			return first
		}
	}
}

// insertSQL is the statement that takes the fields of one tuple.
func insertSQL() string {
	var b strings.Builder
	b.WriteString("insert into mesher.events (" + copyColumns + ") values (")
	for i := range copyFields {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	b.WriteByte(')')
	return b.String()
}

// fields splits a tuple of binary COPY, whose fields are in the form that binary parameters have.
func fields(tuple []byte) [][]byte {
	all := make([][]byte, 0, copyFields)
	for tuple = tuple[2:]; len(tuple) > 0; {
		n := int32(binary.BigEndian.Uint32(tuple))
		tuple = tuple[4:]
		if n < 0 {
			all = append(all, nil)
			continue
		}
		all = append(all, tuple[:n:n])
		tuple = tuple[n:]
	}
	return all
}
