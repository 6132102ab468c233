package postgres

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
)

// fileName is the one form of a migration's name: number, underscore, words.
var fileName = regexp.MustCompile(`^([0-9]{4})_[a-z0-9]+(_[a-z0-9]+)*\.sql$`)

// ownTransaction are the first words of statements that would end the transaction a file runs in.
var ownTransaction = map[string]bool{
	"begin": true, "start": true, "commit": true, "end": true, "rollback": true, "abort": true, "savepoint": true,
	"release": true, "prepare": true,
}

// file is one migration, read and checked.
type file struct {
	number     int
	name       string
	checksum   string
	text       string
	statements []statement
}

// readFiles returns the migrations in the root of fsys in the order of their numbers. A .sql file with another
// name, a number used twice, a file without a statement or with one that handles transactions are errors that
// name the file. Other files are left alone.
func readFiles(fsys fs.FS) ([]file, error) {
	entries, err := fs.ReadDir(fsys, ".") // sorted by name
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	var out []file
	for _, e := range entries {
		if e.IsDir() || !strings.HasSuffix(e.Name(), ".sql") {
			continue
		}
		f, err := readFile(fsys, e.Name())
		if err != nil {
			return nil, fmt.Errorf("migration %s: %w", e.Name(), err)
		}
		if n := len(out); n > 0 && out[n-1].number == f.number {
			return nil, fmt.Errorf("migration %s: its number is also that of %s", f.name, out[n-1].name)
		}
		out = append(out, f)
	}
	return out, nil
}

func readFile(fsys fs.FS, name string) (file, error) {
	m := fileName.FindStringSubmatch(name)
	if m == nil {
		return file{}, errors.New("the name does not have the form 0001_verb_noun.sql")
	}
	number, err := strconv.Atoi(m[1])
	if err != nil || number == 0 {
		return file{}, errors.New("numbers begin at 0001")
	}
	text, err := fs.ReadFile(fsys, name)
	if err != nil {
		return file{}, fmt.Errorf("read: %w", err)
	}
	statements, err := split(string(text))
	if err != nil {
		return file{}, err
	}
	if len(statements) == 0 {
		return file{}, errors.New("no statement in it")
	}
	for i, s := range statements {
		if ownTransaction[s.first()] {
			return file{}, fmt.Errorf("statement %d (line %d, %q): a migration runs in a transaction of its own and cannot handle one",
				i+1, s.line, s.words())
		}
	}
	sum := sha256.Sum256(text)
	return file{number, name, hex.EncodeToString(sum[:]), string(text), statements}, nil
}
