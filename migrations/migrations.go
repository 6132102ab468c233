// Package migrations holds the database schema as numbered SQL files.
//
// The files are applied in the order of their numbers, each in a transaction of its own, by package postgres.
// They go forward only: a file that has landed is never edited, renamed or removed, since its checksum is
// recorded in the database; what has to change is changed by the next file. Every file starts by taking the
// role mesher_owner, so that everything it creates belongs to that role whoever runs it, and protects each
// table it creates with mesher.protect before it grants anything.
package migrations

import "embed"

// FS holds every migration as NNNN_verb_noun.sql.
//
//go:embed *.sql
var FS embed.FS

// Grants is what the roles of the functions are granted once every file is applied: one privilege on one object a line,
// sorted. A test keeps it in step with the files.
//
//go:embed grants.txt
var Grants string
