package storage

import "fmt"

// Damage is stored bytes that fail their checksum, or are missing. It is in the
// chain of every error of KindCorrupt of an engine with files (errors.As, as a
// *Damage), and what an engine tells its owner of damage that it meets by
// itself.
type Damage struct {
	// File is the path of the file.
	File string
	// From and To bound the keys that cannot be read because of it, [From, To).
	// Both are nil when the engine does not know them; each read tells then.
	From, To []byte
	// Err says what is wrong.
	Err error
}

// Error implements error.
func (d *Damage) Error() string { return fmt.Sprintf("%s: %v", d.File, d.Err) }

// Unwrap returns what is wrong.
func (d *Damage) Unwrap() error { return d.Err }
