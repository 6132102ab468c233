package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/mesherhq/mesher/shared/fault"
	"github.com/mesherhq/mesher/shared/postgres"
)

// way is how a connection string leads to a database.
type way string

const (
	here        way = "this machine"
	direct      way = "Supabase's direct host"
	session     way = "Supabase's pooler in session mode"
	transaction way = "Supabase's pooler in transaction mode"
	elsewhere   way = "a server elsewhere"
)

// wayOf reads a host and a port as Supabase hands them out.
func wayOf(host string, port uint16) way {
	const transactionPort = 6543
	switch {
	case postgres.Local(host):
		return here
	case strings.HasSuffix(host, ".pooler.supabase.com") && port == transactionPort,
		strings.HasSuffix(host, ".supabase.co") && port == transactionPort: // a project's own pooler
		return transaction
	case strings.HasSuffix(host, ".pooler.supabase.com"):
		return session
	case strings.HasSuffix(host, ".supabase.co"):
		return direct
	}
	return elsewhere
}

// connection looks where the connection strings lead, and connects.
func connection(ctx context.Context, e *exam) (out []Finding) {
	for _, role := range slices.Sorted(maps.Keys(e.Roles)) {
		c, err := pgxpool.ParseConfig(e.Roles[role])
		if err != nil {
			out = append(out, Finding{Level: Wrong, What: "the connection string of " + role + " cannot be read", Fix: "take it from what mesher setup printed"})
			continue
		}
		out = append(out, functionsWay(role, c)...)
	}
	pool, err := postgres.Open(ctx, withTwo(e.Database))
	if err != nil {
		return append(out, Finding{Level: Wrong, What: explain(err), Fix: "correct DATABASE_URL and the other settings of the database"})
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		fix := refused(err)
		if e.Local && postgres.SQLState(err) == "" {
			fix = "is the platform running? make run"
		}
		return append(out, Finding{Level: Unknown, What: "the database does not answer: " + err.Error(), Fix: fix})
	}
	e.pool = pool
	c := pool.Config().ConnConfig
	return append(out, Finding{Level: OK, What: fmt.Sprintf("connected as %s by %s", c.User, wayOf(c.Host, c.Port))})
}

// functionsWay looks at how a function connects.
func functionsWay(role string, c *pgxpool.Config) (out []Finding) {
	const fix = "use the transaction pooler's address: aws-…pooler.supabase.com:6543, user " // role.<ref>
	host, user := c.ConnConfig.Host, c.ConnConfig.User
	switch wayOf(host, c.ConnConfig.Port) {
	case session:
		out = append(out, Finding{Level: Wrong, What: role + " connects in session mode, where each instance keeps its connections to the server", Fix: fix + role + ".<ref>"})
	case direct:
		out = append(out, Finding{Level: Warning, What: role + " connects to the direct host, which Cloud Run reaches only with the IPv4 add-on", Fix: fix + role + ".<ref>"})
	case here, transaction, elsewhere:
	}
	if name, _, _ := strings.Cut(user, "."); name != role {
		out = append(out, Finding{Level: Wrong, What: fmt.Sprintf("the connection string of %s is of the user %s", role, user), Fix: "give each function the connection string of its own role, as mesher setup prints them"})
	}
	if strings.HasSuffix(host, ".pooler.supabase.com") && !strings.Contains(user, ".") {
		out = append(out, Finding{Level: Wrong, What: "Supabase's pooler does not know whose " + user + " it is", Fix: "write the user as " + user + ".<ref>"})
	}
	return out
}

// refused says what to do when no connection comes about.
func refused(err error) string {
	switch postgres.SQLState(err) {
	case "28P01", "28000":
		return "the password or the user is wrong; mesher setup -rotate-passwords makes new ones for the functions' roles"
	case "3D000":
		return "correct the name of the database; Supabase's is postgres"
	}
	if !postgres.Transient(err) {
		return "give the certificate that signs the server's in DATABASE_CA"
	}
	return "is the host right, is the project paused, does a firewall or a network restriction keep this machine out?"
}

// withTwo gives a look the two connections that telling a pooler's mode takes.
func withTwo(c postgres.Config) postgres.Config {
	c.PoolSize, c.Application = 2, "mesher doctor"
	return c
}

// pooler finds out what stands between each role and the server, and sends statements as functions do.
func pooler(ctx context.Context, e *exam) (out []Finding) {
	pools := map[string]*postgres.Pool{"the one who migrates": e.pool}
	for role, url := range e.Roles {
		c := withTwo(e.Database)
		c.URL = url
		pool, err := postgres.Open(ctx, c)
		if err != nil {
			continue // said by logins
		}
		defer pool.Close()
		pools[role] = pool
	}
	for _, who := range slices.Sorted(maps.Keys(pools)) {
		mode, err := modeOf(ctx, pools[who])
		switch {
		case fault.Is(err, fault.NotConfigured):
			out = append(out, Finding{Level: Wrong, What: fmt.Sprintf("%s: %v", who, err), Fix: "no function may use names for statements: report this"})
		case err != nil:
			out = append(out, Finding{Level: Unknown, What: fmt.Sprintf("%s: %v", who, err), Fix: refused(err)})
		case mode == inSession && pools[who] != e.pool:
			out = append(out, Finding{
				Level: Wrong, What: who + " goes through a pooler in session mode, where each client takes a connection from all others",
				Fix: "use its transaction mode; at Supabase that is port 6543",
			})
		default:
			out = append(out, Finding{Level: OK, What: fmt.Sprintf("%s: %s", who, mode)})
		}
	}
	return out
}

// mode is what stands between a client and the server.
type mode string

const (
	unpooled      mode = "no pooler"
	inSession     mode = "a pooler in session mode"
	inTransaction mode = "a pooler in transaction mode"
)

// modeOf tells the mode by who serves whom. A pooler that hands out the connection used last gives one client's to the
// next; one that takes turns serves the same client by another. Where all but one are taken, that is handed on as well.
// It leaves no trace in a session.
func modeOf(ctx context.Context, pool *postgres.Pool) (mode, error) {
	a, err := pool.Acquire(ctx)
	if err != nil {
		return "", err
	}
	defer a.Release()
	b, err := pool.Acquire(ctx)
	if err != nil {
		return "", err
	}
	defer b.Release()
	served := func(db postgres.DB) (pid uint32, err error) {
		var echo string
		if err = db.QueryRow(ctx, "select pg_backend_pid(), $1::text", "as functions ask").Scan(&pid, &echo); err == nil && echo != "as functions ask" {
			err = fault.New(fault.NotConfigured, "a statement with a parameter is answered with another's value")
		}
		return pid, err
	}
	const tries = 4
	var first uint32
	for range tries {
		if first, err = served(a); err != nil {
			return "", err
		}
		again, err := served(a)
		if err != nil {
			return "", err
		}
		var held, second uint32
		err = postgres.InTx(ctx, b, func(tx postgres.Tx) error {
			if held, err = served(tx); err != nil {
				return err
			}
			second, err = served(a)
			return err
		})
		if err != nil {
			return "", err
		}
		if again != first || held == again || second != again {
			return inTransaction, nil
		}
	}
	if a.Conn().PgConn().PID() != first {
		return inSession, nil
	}
	return unpooled, nil
}
