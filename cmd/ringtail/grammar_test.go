package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// outcome is what came of one command line.
type outcome struct {
	status   int
	out, err string
}

// ringtail runs one command line with stdin as standard input.
func ringtail(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	var out, errs bytes.Buffer
	status := run(t.Context(), args, streams{in: strings.NewReader(stdin), out: &out, err: &errs})
	return outcome{status, out.String(), errs.String()}
}

func TestUsageErrorsNameTheFieldAndTheReason(t *testing.T) {
	for _, test := range []struct {
		args string
		// want is what standard error holds.
		want []string
	}{
		{"nonsense", []string{"unexpected argument nonsense"}},
		{"get", []string{"ringtail get: ", "<key>", "see ringtail get --help"}},
		{"get k --nme x", []string{"unknown flag --nme"}},
		{"get k --r abc", []string{"--r", `"abc"`}},
		{"get k --timeout 2", []string{"--timeout", `"2"`}},
		{"get k --timeout 61s", []string{"--timeout", "1m1s is not within 1ms to 1m0s"}},
		{"get k --addr 127.0.0.1", []string{"--addr", `"127.0.0.1" is not host:port`}},
		{"get k --addr 127.0.0.1:0", []string{"--addr", `"127.0.0.1:0" is not host:port`}},
		{"get k --bucket " + strings.Repeat("b", 256), nil},
		{"put k", []string{"there is no value"}},
		{"put k v --file f", []string{"--file", "not together with a value"}},
		{"put k --file no-such-file", []string{"--file", "no such file"}},
		{"put k v --context c --context-file f", []string{"--context", "not together"}},
		{"serve", []string{"--name"}},
		{"serve --name n1", []string{"data", "needs a data directory"}},
		{"serve --name n1 --weight -1", []string{"--weight", `"-1"`}},
		{"serve --name n1 --engine tape", []string{"--engine", `"auto","logstore","pebble","memory"`, `"tape"`}},
		{"serve --name n1 --log-level loud", []string{"--log-level", "loud"}},
		{"serve --name n/1 --engine memory --create", []string{"name", `"n/1"`}},
		{"serve --name n1 --engine memory --create --n 17", []string{"n=17 is not within 1 to 16"}},
		{"serve --name n1 --engine memory --create --r 4", []string{"r=4 is not within 1 to N=3"}},
		{"serve --name n1 --engine memory --create --partitions 1000", []string{"--partitions", "1000", "power of two"}},
		{"serve --name n1 --engine memory --create --http 0.0.0.0:7400", []string{"http 0.0.0.0:7400", "insecure"}},
		{"serve --name n1 --engine memory --create --http localhost", []string{"http", `"localhost" is not host:port`}},
		{"serve --name n1 --engine memory --seeds here", []string{"seed", `"here" is not host:port`}},
		{"dev --nodes 0", []string{"--nodes", "0 is not within 1 to 64"}},
		{"dev --nodes 65", []string{"--nodes", "65 is not within 1 to 64"}},
		{"dev --port 65530", []string{"--port", "65530 to 65554"}},
		{"dev --w 4", []string{"w=4 is not within 1 to N=3"}},
		{"cluster props b --dw x", []string{"--dw", `"x" is neither a number nor w`}},
		{"cluster leave", []string{"<node>"}},
		{"cluster weight n1", []string{"<weight>"}},
		{"cluster weight n1 -- -2", []string{"weight"}},
		{"cluster pace fast", []string{`"fast" is no number of bytes a second`}},
		{"cluster pace 0", []string{`"0" is no number of bytes a second`}},
		{"cluster pace 9999999999G", []string{"is no number of bytes a second"}},
		{"cluster sla fast", []string{`"fast" is no objective such as "99.9% < 300ms"`, "or the word default"}},
		{"cluster props b --sla 99.9%<300", []string{"--sla", "is no objective"}},
		{"cluster commit --every 0s", []string{"--every: 0s is not positive"}},
		{"serve --name n1 --engine memory --create --fill-rate 0", []string{"--fill-rate", `"0"`}},
	} {
		t.Run(test.args, func(t *testing.T) {
			got := ringtail(t, "", strings.Fields(test.args)...)
			wantStatus := exitUsage
			if test.want == nil {
				// Past a limit rather than malformed.
				wantStatus = exitError
			}
			if got.status != wantStatus {
				t.Errorf("status %d, want %d; stderr: %s", got.status, wantStatus, got.err)
			}
			for _, want := range test.want {
				if !strings.Contains(got.err, want) {
					t.Errorf("stderr %q does not hold %q", got.err, want)
				}
			}
			if got.out != "" {
				t.Errorf("stdout holds %q", got.out)
			}
		})
	}
}

func TestEachSubcommandHasHelpWithAnExample(t *testing.T) {
	parser, err := newParser(t.Context(), &grammar{}, streams{out: io.Discard, err: io.Discard}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	leaves := parser.Model.Leaves(true)
	if len(leaves) != 34 {
		t.Errorf("%d subcommands, want 34", len(leaves))
	}
	for _, leaf := range leaves {
		t.Run(leaf.Path(), func(t *testing.T) {
			args := append(strings.Fields(commandOf(leaf)), "--help")
			got := ringtail(t, "", args...)
			example := "\n    ringtail " + commandOf(leaf)
			if got.status != exitOK || got.err != "" || !strings.Contains(got.out, example) {
				t.Errorf("status %d, stderr %q, and no example %q in %s", got.status, got.err, example, got.out)
			}
		})
	}
}

// commandOf returns the words that name a subcommand, without its arguments.
func commandOf(n *kong.Node) string {
	if n.Parent == nil || n.Parent.Type == kong.ApplicationNode {
		return n.Name
	}
	return commandOf(n.Parent) + " " + n.Name
}

func TestNoArgumentsShowTheHelp(t *testing.T) {
	got := ringtail(t, "")
	if got.status != exitUsage || !strings.Contains(got.out, "ringtail dev") || !strings.Contains(got.out, "Exit status:") {
		t.Errorf("status %d, stdout %q", got.status, got.out)
	}
}

func TestVersion(t *testing.T) {
	got := ringtail(t, "", "version")
	if got.status != exitOK || !strings.HasPrefix(got.out, "ringtail ") || strings.Count(got.out, "\n") != 1 {
		t.Errorf("status %d, stdout %q", got.status, got.out)
	}
}

// parse fills a grammar from a command line.
func parse(t *testing.T, args ...string) (*grammar, error) {
	t.Helper()
	g := &grammar{}
	parser, err := newParser(context.Background(), g, streams{out: io.Discard, err: io.Discard}, func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return g, err
}
