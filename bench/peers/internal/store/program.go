package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The packages that are built: the servers of others are this module's tools
// (go.mod), so that their versions stand there.
const (
	ringtailModule = "github.com/ringtaildb/ringtail"
	natsPackage    = "github.com/nats-io/nats-server/v2"
	etcdPackage    = "go.etcd.io/etcd/server/v3"
)

// Program is a server that can be started.
type Program struct {
	Path, Version string
	// Help is what the program says of itself, of those that are asked.
	Help string
}

// Ringtail builds the ringtail that this module measures, into dir.
func Ringtail(ctx context.Context, dir string) (Program, error) {
	root, err := output(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", ringtailModule)
	if err != nil {
		return Program{}, fmt.Errorf("find %s (is this run in bench/peers?): %w", ringtailModule, err)
	}
	p := Program{Path: filepath.Join(dir, "ringtail"), Version: "of this tree"}
	// In its own module: with the versions of its own go.mod.
	if _, err := output(ctx, root, "go", "build", "-o", p.Path, "./cmd/ringtail"); err != nil {
		return Program{}, err
	}
	if commit, err := output(ctx, root, "git", "describe", "--always", "--dirty"); err == nil {
		p.Version = commit
	}
	p.Help, err = output(ctx, "", p.Path, "serve", "--help")
	return p, err
}

// Engines returns those of the names that this ringtail has as engines.
func (p Program) Engines(names ...string) []string {
	var known []string
	for _, n := range names {
		if strings.Contains(p.Help, n) {
			known = append(known, n)
		}
	}
	return known
}

// NATS builds nats-server into dir.
func NATS(ctx context.Context, dir string) (Program, error) {
	return build(ctx, dir, "nats-server", natsPackage)
}

// Etcd builds etcd into dir.
func Etcd(ctx context.Context, dir string) (Program, error) {
	return build(ctx, dir, "etcd", etcdPackage)
}

// build builds a program of a module that go.mod requires.
func build(ctx context.Context, dir, name, path string) (Program, error) {
	p := Program{Path: filepath.Join(dir, name)}
	if _, err := output(ctx, "", "go", "build", "-o", p.Path, path); err != nil {
		return Program{}, err
	}
	text, err := output(ctx, "", p.Path, "--version")
	p.Version = versionIn(text)
	return p, err
}

// Redis finds redis-server on the machine.
func Redis(ctx context.Context) (Program, error) {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return Program{}, errors.New("redis-server is not installed: apt-get install redis-server, or leave it out with -stores")
	}
	text, err := output(ctx, "", path, "--version")
	if err != nil {
		return Program{}, err
	}
	return Program{Path: path, Version: versionIn(text)}, nil
}

// versionIn returns the first word of a text that looks like a version.
func versionIn(text string) string {
	for _, word := range strings.Fields(text) {
		word = strings.TrimPrefix(word, "v=")
		digits := strings.TrimPrefix(word, "v")
		if strings.Contains(digits, ".") && digits[0] >= '0' && digits[0] <= '9' {
			return digits
		}
	}
	return "unknown"
}

// output runs a program and returns its standard output, without the last line's
// end. An error has what it wrote to its standard error.
func output(ctx context.Context, dir, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Env = dir, os.Environ()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(stdout.String()), nil
}
