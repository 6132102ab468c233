package postgres

import (
	"fmt"
	"io/fs"
	"strings"
)

// Script is a migration for tools that apply files by themselves, such as Supabase's CLI.
type Script struct {
	Name string // as the file's, without its ending
	Text string
}

// Scripts returns the files of fsys with what Migrate does around them: the transaction, the lock, and the record in
// mesher.migrations that it goes by, so that both ways may be taken in turn. A script that is run twice, or before the
// one that it follows, fails and changes nothing.
func Scripts(fsys fs.FS) ([]Script, error) {
	files, err := readFiles(fsys)
	if err != nil {
		return nil, err
	}
	out := make([]Script, len(files))
	previous := 0
	for i, f := range files {
		var b strings.Builder
		fmt.Fprintf(&b, "-- Mesher's migration %s, SHA-256 %s.\n-- Written by `mesher migrate --supabase-dir`; not to be edited.\n", f.name, f.checksum)
		fmt.Fprintf(&b, "begin;\nset local statement_timeout = 0;\nselect pg_advisory_xact_lock(%d);\nset local lock_timeout = '5s';\n", migrationLock)
		fmt.Fprintf(&b, guard, f.number, previous, f.name)
		b.WriteString(strings.TrimRight(f.text, "\n") + "\n")
		fmt.Fprintf(&b, "\ninsert into mesher.migrations (number, name, checksum, took_ms)\nvalues (%d, '%s', '%s', "+
			"(extract(epoch from clock_timestamp() - transaction_timestamp()) * 1000)::int);\ncommit;\n", f.number, f.name, f.checksum)
		out[i] = Script{strings.TrimSuffix(f.name, ".sql"), b.String()}
		previous = f.number
	}
	return out, nil
}

// guard stops a script that is not the next one.
const guard = `do $guard$
declare
    last integer := 0;
begin
    if to_regclass('mesher.migrations') is not null then
        execute 'select coalesce(max(number), 0) from mesher.migrations' into last;
    end if;
    if last >= %[1]d then
        raise exception 'migration %[3]s is applied already' using hint = 'supabase migration repair --status applied <its timestamp>';
    elsif last <> %[2]d then
        raise exception 'migration %[3]s follows number %[2]d, and the last one applied is number %%', last;
    end if;
end
$guard$;

`
