package postgres

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
)

// ExecSQL returns the definition of the function that MigrateVia calls, for the files of fsys alone. Whoever may call
// it can do nothing but apply the next of these files, unchanged and once:
//
//   - It is executable by service_role only. A default privilege or a sweeping GRANT that lets others at it still meets
//     a look at the role that the request came with.
//   - It takes no SQL but a file whose SHA-256 is in the list that is part of the definition, in the order of the list.
//   - It resolves every name without a search path, and leaves nothing behind that runs as another role.
//
// It is defined again for every release that has new files, and best removed in between, see RemoveExecSQL.
func ExecSQL(fsys fs.FS) (string, error) {
	files, err := readFiles(fsys)
	if err != nil {
		return "", err
	}
	type known struct {
		Number   int    `json:"number"`
		Name     string `json:"name"`
		Checksum string `json:"checksum"`
	}
	list := make([]string, len(files))
	for i, f := range files {
		if err := alternates(f); err != nil {
			return "", fmt.Errorf("migration %s: %w", f.name, err)
		}
		line, err := json.Marshal(known{f.number, f.name, f.checksum})
		if err != nil {
			return "", fmt.Errorf("list migration %s: %w", f.name, err)
		}
		list[i] = "        " + string(line)
	}
	return strings.NewReplacer(
		"$known", strings.Join(list, ",\n"),
		"$lock", strconv.Itoa(migrationLock),
		"$roles", roleLines,
	).Replace(execSQL), nil
}

// RemoveExecSQL removes the function that ExecSQL defines.
const RemoveExecSQL = "drop function if exists public.exec_sql(text, text);"

// roleLines are the lines of a file between which it acts as the owner of the schema, as a regular expression of both
// Go and the server.
const roleLines = `^(set local role mesher_owner|reset role);$`

var roleLine = regexp.MustCompile(`(?m)` + roleLines)

// alternates refuses a file that changes its role in a way which the function does not know: a role cannot be set
// within it, so it runs what stands between the lines as a function of the owner's.
func alternates(f file) error {
	want := []string{"set local role mesher_owner;", "reset role;"}
	lines := roleLine.FindAllString(f.text, -1)
	for i, line := range lines {
		if line != want[i%2] {
			return fmt.Errorf("its line %q stands where %q should", line, want[i%2])
		}
	}
	if len(lines)%2 != 0 {
		return fmt.Errorf("it has no line %q in the end", want[1])
	}
	n := 0
	for _, s := range f.statements {
		if first, _, _ := strings.Cut(strings.ToLower(s.text), ";"); strings.Contains(first, "role") &&
			(s.first() == "reset" || s.first() == "set") {
			n++
		}
	}
	if n != len(lines) {
		return fmt.Errorf("%d of its statements are about roles, but only %d are lines such as %q", n, len(lines), want[0])
	}
	return nil
}

// execSQL is the definition. A role cannot be set within it, and what is executed by it runs as whoever defined it: as
// the user of the SQL editor, who owns nothing of ours. What the owner of the schema has to do is done by a function of
// the owner's, which is made and dropped in the same transaction, so that nobody else ever sees it.
const execSQL = `-- The function that "mesher migrate --via" calls. Run this once in the SQL editor, as the user postgres, and again
-- for each release with new migrations. Remove it with "mesher migrate --remove-exec-sql".
begin;

create or replace function public.exec_sql(file text default null, sql text default null) returns jsonb
language plpgsql
security definer
set search_path = ''
as $exec_sql$
declare
    -- All that may ever be executed, by the SHA-256 of its text.
    known constant jsonb := $list$[
$known
    ]$list$;
    begun   constant timestamptz := clock_timestamp();
    applied jsonb := '[]';
    next    jsonb;
    part    text;
    owner   boolean := false;
begin
    -- Whatever was granted to whom: a request of the Data API comes with the role of its key.
    if current_setting('role', true) is distinct from 'service_role' then
        raise exception 'exec_sql is for the service role alone' using errcode = 'insufficient_privilege';
    end if;

    perform set_config('lock_timeout', '60s', true);
    perform pg_advisory_xact_lock($lock);
    -- A table lock that does not come soon would hold up everybody who queues behind it.
    perform set_config('lock_timeout', '5s', true);

    if to_regclass('mesher.migrations') is not null then
        execute 'select coalesce(jsonb_agg(to_jsonb(m) order by m.number), ''[]'') from mesher.migrations m' into applied;
    end if;
    if file is null then
        return applied;
    end if;
    if file = 'remove' then
        drop function public.exec_sql(text, text);
        return applied;
    end if;

    select k into next from jsonb_array_elements(known) k
    where not exists (select from jsonb_array_elements(applied) a where a -> 'number' = k -> 'number')
    order by (k ->> 'number')::int limit 1;
    if next is null or next ->> 'name' <> file then
        raise exception 'the next migration is %, not %', coalesce(next ->> 'name', 'none that this function knows'), file
            using errcode = 'invalid_parameter_value', hint = 'define exec_sql again: mesher migrate --print-exec-sql';
    end if;
    if sql is null or encode(sha256(convert_to(sql, 'UTF8')), 'hex') <> next ->> 'checksum' then
        raise exception 'the text is not that of %', file
            using errcode = 'invalid_parameter_value', hint = 'define exec_sql again: mesher migrate --print-exec-sql';
    end if;

    for part in select regexp_split_to_table(sql, '$roles', 'n') loop
        if owner then
            execute 'create function mesher.exec_sql_as_owner(sql text) returns void language plpgsql '
                'security definer set search_path = '''' as ''begin execute sql; end''';
            execute 'alter function mesher.exec_sql_as_owner(text) owner to mesher_owner';
            execute 'select mesher.exec_sql_as_owner($1)' using part;
            execute 'drop function mesher.exec_sql_as_owner(text)';
        else
            execute part;
        end if;
        owner := not owner;
    end loop;
    execute 'insert into mesher.migrations (number, name, checksum, took_ms) values ($1, $2, $3, $4)'
        using (next ->> 'number')::int, file, next ->> 'checksum',
            (extract(epoch from clock_timestamp() - begun) * 1000)::int;
    execute 'select jsonb_agg(to_jsonb(m) order by m.number) from mesher.migrations m' into applied;
    return applied;
end
$exec_sql$;

revoke all on function public.exec_sql(text, text) from public, anon, authenticated;
grant execute on function public.exec_sql(text, text) to service_role;
notify pgrst, 'reload schema';

commit;
`
