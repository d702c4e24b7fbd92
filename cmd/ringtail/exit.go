package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// What the process ends with. Scripts rely on these: they never change.
const (
	exitOK = iota
	// exitError: something failed, or the key has no value.
	exitError
	// exitUsage: a flag, an argument or the configuration is not valid.
	exitUsage
	// exitSiblings: a get or a put came upon siblings.
	exitSiblings
)

// exitStatuses holds the kinds that are mistakes of the command line's; all
// others end with exitError.
var exitStatuses = map[kv.Kind]int{
	kv.KindInvalid:    exitUsage,
	kv.KindBadContext: exitUsage,
}

// statusError is an error with an exit status of its own.
type statusError struct {
	status int
	err    error
}

// Error implements error.
func (e statusError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e statusError) Unwrap() error { return e.err }

// usagef returns an error that says which flag or argument is wrong, and why.
func usagef(format string, args ...any) error {
	return statusError{exitUsage, fmt.Errorf(format, args...)}
}

// exitStatus returns what the process ends with after err.
func exitStatus(err error) int {
	if own, ok := errors.AsType[statusError](err); ok {
		return own.status
	}
	kind := kv.KindOf(err)
	if told, ok := errors.AsType[*answerError](err); ok {
		kind = told.kind
	}
	if told, ok := errors.AsType[*client.Error](err); ok {
		kind = parseKind(string(told.Kind))
	}
	if status, ok := exitStatuses[kind]; ok {
		return status
	}
	return exitError
}

// report tells what went wrong. Errors of the client begin like the line does.
func report(s streams, err error) {
	fmt.Fprintf(s.err, "ringtail: %s\n", strings.TrimPrefix(err.Error(), "ringtail: "))
}
