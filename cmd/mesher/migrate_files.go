package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/mesherhq/mesher/migrations"
	"github.com/mesherhq/mesher/shared/postgres"
)

// scriptName is the form of the files of Supabase's CLI: the time of the making, underscore, words.
var scriptName = regexp.MustCompile(`^([0-9]{14})_mesher_([0-9]{4}_.*)\.sql$`)

// write adds the scripts that a folder of Supabase's CLI lacks. Each is named for the moment when it was added, so that
// it comes after what the team has applied until then; a name, once given, stays. A script that was edited is an error.
func (m *migrate) write(now time.Time) error {
	scripts, err := postgres.Scripts(migrations.FS)
	if err != nil {
		return fmt.Errorf("write the migrations: %w", err)
	}
	dir := filepath.Join(m.supabase, "migrations")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write the migrations: %w", err)
	}
	there, last, err := written(dir)
	if err != nil {
		return fmt.Errorf("look for migrations: %w", err)
	}
	// Times have no fraction here, and one that is in the future already must be followed.
	at := now.UTC().Truncate(time.Second)
	if !at.After(last) {
		at = last.Add(time.Second)
	}
	added := 0
	for _, s := range scripts {
		if file, ok := there[s.Name]; ok {
			text, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("read a migration: %w", err)
			}
			if string(text) != s.Text {
				return fmt.Errorf("%s was edited, or written by another version of the same migration: restore it", file)
			}
			continue
		}
		file := filepath.Join(dir, at.Format(timestamp)+"_mesher_"+s.Name+".sql")
		if err := os.WriteFile(file, []byte(s.Text), 0o644); err != nil {
			return fmt.Errorf("write a migration: %w", err)
		}
		fmt.Fprintf(m.out, "wrote %s\n", file)
		at = at.Add(time.Second)
		added++
	}
	if added == 0 {
		fmt.Fprintf(m.out, "%s has every migration\n", dir)
	}
	return nil
}

const timestamp = "20060102150405"

// written returns the scripts of ours in a folder, by the name of the migration, and the last time in any file's name.
func written(dir string) (ours map[string]string, last time.Time, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, last, err
	}
	ours = map[string]string{}
	for _, e := range entries {
		if m := scriptName.FindStringSubmatch(e.Name()); m != nil {
			ours[m[2]] = filepath.Join(dir, e.Name())
		}
		if len(e.Name()) < len(timestamp) {
			continue
		}
		if at, err := time.Parse(timestamp, e.Name()[:len(timestamp)]); err == nil && at.After(last) {
			last = at
		}
	}
	return ours, last, nil
}
