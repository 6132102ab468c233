package doctor

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/postgres"
)

// ours are the roles that functions connect as.
func ours() []string { return []string{postgres.RoleIngest, postgres.RoleStore, postgres.RoleApp} }

// roles looks at what the roles are, which decides whether policies apply to them.
func roles(ctx context.Context, e *exam) []Finding {
	return e.each(ctx, Wrong, "mesher setup lets roles in; a role that can do more: alter role … nosuperuser nobypassrls nocreaterole, and revoke the membership",
		"each is what it has to be, and nothing more", `
		with wanted as (select w.name, r.* from unnest($1::text[]) as w (name) left join pg_catalog.pg_roles r on r.rolname = w.name)
		select format('the role %s does not exist', name) from wanted where oid is null
		union all select format('%s cannot log in', name) from wanted where not rolcanlogin
		union all select format('%s is a superuser', name) from wanted where rolsuper
		union all select format('%s bypasses row level security', name) from wanted where rolbypassrls
		union all select format('%s may create roles', name) from wanted where rolcreaterole
		union all select format('mesher_store is no member of mesher_owner, so Store can write nothing') from wanted
			where name = 'mesher_store' and oid is not null and not pg_has_role(oid, 'mesher_owner', 'usage')
		union all select format('%s is a member of %s', w.name, m.roleid::regrole) from wanted w
			join pg_catalog.pg_auth_members m on m.member = w.oid
			where w.name <> 'mesher_store' or m.roleid <> 'mesher_owner'::regrole
		order by 1`, ours())
}

// timeouts looks at the roles' own: poolers ignore those that a client asks for.
func timeouts(ctx context.Context, e *exam) []Finding {
	return e.each(ctx, Wrong, "alter role … set statement_timeout = '15s' (mesher_store: '30s'), lock_timeout = '3s' ('5s'), idle_in_transaction_session_timeout = '15s'",
		"every role has limits of its own", `
		select format('%s has no %s', r.rolname, s.name)
		from pg_catalog.pg_roles r, unnest(array['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) as s (name)
		where r.rolname = any ($1::text[])
		and not exists (select from unnest(r.rolconfig) as c where c ~ ('^' || s.name || '=[1-9]')) order by 1`, ours())
}

// grants compares what the roles may do with what the migrations give them.
func grants(ctx context.Context, e *exam) (out []Finding) {
	found, err := postgres.Grants(ctx, e.pool)
	if err != nil {
		return unknown(err, asOwner)
	}
	want := strings.Split(strings.TrimSpace(migrations.Grants), "\n")
	missing, more := without(want, found), without(found, want)
	if len(missing) == len(want) {
		return []Finding{{Level: Wrong, What: "the roles may do nothing", Fix: "mesher migrate"}}
	}
	for _, g := range missing {
		out = append(out, Finding{Level: Wrong, What: "missing: " + g, Fix: "if every migration is applied: grant it as mesher_owner"})
	}
	for _, g := range more {
		out = append(out, Finding{Level: Wrong, What: "too much: " + g, Fix: "revoke it as mesher_owner"})
	}
	if len(out) == 0 {
		return ok(fmt.Sprintf("each role has just what it needs (%d privileges)", len(want)))
	}
	return out
}

// without returns what is in a and not in b.
func without(a, b []string) (out []string) {
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// errand is the least that a function of each role has to be able to do.
var errand = map[string]string{
	postgres.RoleIngest: "select count(*) from (select from mesher.api_keys limit 1) k",
	postgres.RoleStore:  "select count(*) from (select from mesher.events where received_at > now() limit 1) e",
	postgres.RoleApp:    "select count(*) from (select from mesher.issues limit 1) i",
}

// logins connects as each function does.
func logins(ctx context.Context, e *exam) (out []Finding) {
	if len(e.Roles) == 0 {
		return []Finding{{
			Level: Unknown, What: "the connection strings of the functions are not known",
			Fix: "set DATABASE_URL_INGEST, DATABASE_URL_STORE and DATABASE_URL_APP, as mesher setup prints them",
		}}
	}
	for _, role := range slices.Sorted(maps.Keys(e.Roles)) {
		out = append(out, e.login(ctx, role))
	}
	return out
}

func (e *exam) login(ctx context.Context, role string) Finding {
	c := withTwo(e.Database)
	c.URL = e.Roles[role]
	pool, err := postgres.Open(ctx, c)
	if err != nil {
		return Finding{Level: Wrong, What: role + ": " + explain(err), Fix: "correct its connection string"}
	}
	defer pool.Close()
	begin := time.Now()
	var user, limit string
	if err := pool.QueryRow(ctx, "select current_user, current_setting('statement_timeout')").Scan(&user, &limit); err != nil {
		level := Wrong
		if postgres.Transient(err) {
			level = Unknown
		}
		return Finding{Level: level, What: role + " cannot connect: " + err.Error(), Fix: refused(err)}
	}
	took := time.Since(begin)
	if user != role {
		return Finding{Level: Wrong, What: "who connects for " + role + " is " + user, Fix: "give each function the connection string of its own role"}
	}
	if limit == "0" {
		return Finding{Level: Wrong, What: role + " has no statement_timeout once it is connected", Fix: "does something reset it, such as a setting of the database for the role? alter role " + role + " in database … reset statement_timeout"}
	}
	if err := pool.QueryRow(ctx, errand[role]).Scan(new(int)); err != nil {
		return Finding{Level: Wrong, What: role + " cannot do its work: " + err.Error(), Fix: "see migrations and grants"}
	}
	return Finding{Level: OK, What: fmt.Sprintf("%s connects and works, in %s", role, took.Round(time.Millisecond))}
}
