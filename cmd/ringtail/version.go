package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/ringtaildb/ringtail/internal/wire"
)

// versionCmd is ringtail version.
type versionCmd struct{}

// Help is shown by ringtail version --help.
func (versionCmd) Help() string {
	return `Example:

    ringtail version`
}

// Run carries out the command.
func (versionCmd) Run(s streams) error {
	_, err := fmt.Fprintf(s.out, "ringtail %s %s %s/%s protocol %v\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, wire.Spoken())
	return err
}

// version returns the version that the module was built as: a release, or the
// commit that a development build came from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
