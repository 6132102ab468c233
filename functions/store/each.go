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
// move to the refused ones. It returns the work about the others. Their tags are written together: a statement for
// each row's would take longer than all else.
func commitEach(ctx context.Context, pg *pgconn.PgConn, project uuid.UUID, c *choice, found look, known *memory) (work, error) {
	works, candidates := make([]work, len(c.fresh)), 0
	for i := range c.fresh {
		var err error
		if works[i], err = plan(project, c.fresh[i:i+1], found, known, 0); err != nil {
			return work{}, err
		}
		if candidates += len(works[i].candidates); candidates > candidatesMost && i > 0 {
			return work{}, errCrowded
		}
	}
	refused, err := insertEach(ctx, pg, c.fresh, works)
	if err != nil {
		return work{}, err
	}
	var (
		done work
		good []row
	)
	for i := range works {
		if refused[i] == nil {
			done.add(works[i])
			good = append(good, c.fresh[i])
			continue
		}
		c.refused = append(c.refused, refusal{&c.fresh[i], refused[i]})
		c.n.stored--
	}
	if done.tags, err = tagApart(ctx, pg, project, good, found, known); err != nil {
		return work{}, err
	}
	alerts, err := alertApart(ctx, pg, project, good, done, found, known)
	if err != nil {
		return work{}, err
	}
	done.ruleUsers, done.raised, done.refusedAlerts = alerts.ruleUsers, alerts.raised, alerts.refusedAlerts
	_, err = commit(ctx, pg, project, nil, c.n, found.at, work{statements: c.statements(project)})
	return done, err
}

// tagApart writes the tags of rows that are inserted, and returns which. Should the database refuse them, that is
// no reason to refuse an event: they are left out.
func tagApart(ctx context.Context, pg *pgconn.PgConn, project uuid.UUID, rows []row, found look, known *memory) ([]tagValue, error) {
	tags, err := known.pickTags(rows, found, tagRowsMost)
	if err != nil || len(tags) == 0 {
		return nil, err
	}
	sql, err := tagsSQL(project, tags)
	if err != nil {
		return nil, err
	}
	_, err = pg.Exec(ctx, "savepoint tags; "+sql+"; release tags").ReadAll()
	switch {
	case err == nil:
		return tags, nil
	case !postgres.Data(err):
		return nil, fmt.Errorf("store tags: %w", err)
	}
	if _, err := pg.Exec(ctx, "rollback to tags").ReadAll(); err != nil {
		return nil, fmt.Errorf("leave tags out: %w", err)
	}
	return nil, nil
}

// insertEach inserts rows one by one, each with its work, and returns for which row the database refuses that, and
// why. After any other error, the transaction is to be rolled back.
func insertEach(ctx context.Context, pg *pgconn.PgConn, rows []row, works []work) (refused []error, err error) {
	p := pg.StartPipeline(ctx)
	defer func() {
		if e := p.Close(); err == nil && e != nil {
			err = fmt.Errorf("store events one by one: %w", e)
		}
	}()
	if err := sendEach(p, rows, works); err != nil {
		return nil, err
	}
	if err := answer(p); err != nil {
		return nil, fmt.Errorf("store events one by one: %w", err)
	}
	refused = make([]error, len(rows))
	for i := range rows {
		err := answer(p)
		switch {
		case err == nil:
		case postgres.Data(err), postgres.Duplicate(err):
			refused[i] = err
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
func sendEach(p *pgconn.Pipeline, rows []row, works []work) error {
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
		p.SendQueryParams(insert, fields(rows[i].tuple), nil, binaryFormat, nil)
		send(works[i].statements...)
		send("release row", "savepoint row")
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
