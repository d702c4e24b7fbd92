package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// write makes a configuration file and returns its name.
func write(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "node.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestFlagGoesBeforeEnvironmentBeforeFileBeforeDefault(t *testing.T) {
	file := write(t, "name: file\nzone: file\nengine: memory\n")
	t.Setenv("RINGTAIL_NAME", "environment")
	t.Setenv("RINGTAIL_ZONE", "environment")
	g, err := parse(t, "serve", "--config", file, "--name", "flag")
	if err != nil {
		t.Fatal(err)
	}
	got := []string{g.Serve.Name, g.Serve.Zone, g.Serve.Engine, g.Serve.LogFormat}
	want := []string{"flag", "environment", "memory", "text"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("name, zone, engine and log-format differ (-want +got):\n%s", diff)
	}
}

func TestFileSetsEachKindOfFlag(t *testing.T) {
	file := write(t, `# a comment
name: n1
weight: 4
create: true
seeds: [127.0.0.1:7402, "127.0.0.1:7412"]
log-level: warn
partitioner: crc16
`)
	t.Setenv("RINGTAIL_CONFIG", file)
	g, err := parse(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	c := g.Serve
	if c.Name != "n1" || c.Weight != 4 || !c.Create || c.LogLevel.String() != "WARN" || c.Partitioner != "crc16" {
		t.Errorf("got %+v", c)
	}
	if diff := cmp.Diff([]string{"127.0.0.1:7402", "127.0.0.1:7412"}, c.Seeds); diff != "" {
		t.Errorf("seeds differ (-want +got):\n%s", diff)
	}
}

func TestEachFlagOfServeIsAVariable(t *testing.T) {
	for name, value := range map[string]string{
		"NAME": "n1", "DATA": "d", "ENGINE": "memory", "ZONE": "z", "WEIGHT": "7", "HTTP": "127.0.0.1:1", "PEER": "127.0.0.1:2",
		"GOSSIP": "127.0.0.1:3", "ADVERTISE": "h", "INSECURE": "true", "SEEDS": "a:1,b:2", "CREATE": "true", "N": "5", "R": "4",
		"W": "3", "PARTITIONS": "64", "PARTITIONER": "crc16", "LOG_LEVEL": "debug", "LOG_FORMAT": "json", "PPROF": "true",
		"HINT_BYTES": "4096", "REPAIR_EVERY": "3s", "REAP_AT": "9", "FILL_RATE": "4M",
		"RESP": "127.0.0.1:4", "RESP_CONNECTIONS": "70", "RESP_FLUSH": "true",
		"ADMISSION": "70ms", "YIELD": "false",
	} {
		t.Setenv("RINGTAIL_"+name, value)
	}
	g, err := parse(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	want := serveCmd{
		Name: "n1", Data: "d", Engine: "memory", Zone: "z", Weight: 7, HTTP: "127.0.0.1:1", Peer: "127.0.0.1:2",
		Gossip: "127.0.0.1:3", Advertise: "h", Insecure: true, Seeds: []string{"a:1", "b:2"}, Create: true,
		createFlags: createFlags{N: 5, R: 4, W: 3, Partitions: 64, Partitioner: "crc16"},
		RESP:        "127.0.0.1:4", RESPConnections: 70, RESPFlush: true,
		HintBytes: 4096, RepairEvery: 3 * time.Second, ReapAt: 9, FillRate: 4_000_000,
		Hedge: true, ReadAll: 0.1,
		Admission: admission(70 * time.Millisecond),
		LogLevel:  -4, LogFormat: "json", Pprof: true,
	}
	if diff := cmp.Diff(want, g.Serve, cmp.AllowUnexported(serveCmd{})); diff != "" {
		t.Errorf("serve differs (-want +got):\n%s", diff)
	}
}

func TestBadFilesNameTheLineAndTheReason(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"unknown key", "name: n1\nzoen: z\n", `node.yaml:2: there is no key "zoen"`},
		{"hidden flag", "name: n1\nsupervised: true\n", `:2: there is no key "supervised"`},
		{"itself", "name: n1\nconfig: other.yaml\n", `:2: there is no key "config"`},
		{"no number", "name: n1\n\nweight: heavy\n", `--weight: `},
		{"no number, its line", "name: n1\n\nweight: heavy\n", `node.yaml:3: expected a valid 32 bit uint but got "heavy"`},
		{"not one of", "name: n1\nengine: tape\n", `--engine must be one of "auto","logstore","pebble","memory" but got "tape"`},
		{"no bool", "create: maybe\n", `node.yaml:1: bool value must be`},
		{"twice", "name: n1\nname: n2\n", "node.yaml:2: name is there twice"},
		{"no value", "name:\n", "node.yaml:1: name: it has no value"},
		{"mapping as value", "name: {a: b}\n", "node.yaml:1: name: it is neither a value nor a list"},
		{"mapping in list", "seeds: [{a: b}]\n", "node.yaml:1: seeds: its elements are not plain values"},
		{"list at the top", "- name\n", "node.yaml:1: there are no keys and values"},
		{"no YAML", "name: [\n", "node.yaml: yaml: line 1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ringtail(t, "", "serve", "--config", write(t, test.text))
			if got.status != exitUsage || !strings.Contains(got.err, test.want) {
				t.Errorf("status %d, stderr %q; want status 2 and %q", got.status, got.err, test.want)
			}
		})
	}
}

func TestMissingFileIsAnErrorOfUsage(t *testing.T) {
	got := ringtail(t, "", "serve", "--config", filepath.Join(t.TempDir(), "none.yaml"))
	if got.status != exitUsage || !strings.Contains(got.err, "--config: ") || !strings.Contains(got.err, "no such file") {
		t.Errorf("status %d, stderr %q", got.status, got.err)
	}
}

func TestEmptyFileSetsNothing(t *testing.T) {
	g, err := parse(t, "serve", "--name", "n1", "--config", write(t, "# nothing yet\n"))
	if err != nil || g.Serve.Weight != 1 {
		t.Errorf("weight %d, error %v; want the default, 1", g.Serve.Weight, err)
	}
}

func TestFileOfServeDoesNotTouchOtherCommands(t *testing.T) {
	t.Setenv("RINGTAIL_CONFIG", filepath.Join(t.TempDir(), "none.yaml"))
	if _, err := parse(t, "get", "k"); err != nil {
		t.Errorf("get with a RINGTAIL_CONFIG that names no file: %v", err)
	}
}
