package store

import (
	"slices"
	"strings"
	"testing"
)

func TestVersionIn(t *testing.T) {
	for text, want := range map[string]string{
		"Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64": "7.0.15",
		"nats-server: v2.15.2": "2.15.2",
		"etcd Version: 3.7.3\nGit SHA: Not provided\nGo Version: go1.26.8": "3.7.3",
		"": "unknown", "v. x.y v=": "unknown",
	} {
		if got := versionIn(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func TestHasWaitAOF(t *testing.T) {
	for version, want := range map[string]bool{
		"6.2.1": false, "7.0.15": false, "7.1": false, "7.2.0": true, "7.10.1": true, "8.0.2": true, "10.0": true, "unknown": false, "": false,
	} {
		if got := hasWaitAOF(version); got != want {
			t.Errorf("%q: got %v", version, got)
		}
	}
}

func TestEngines(t *testing.T) {
	p := Program{Help: "--engine=ENGINE  What stores the data: pebble, on disk, or memory, for caches"}
	if got := p.Engines("logstore", "memory", "pebble"); !slices.Equal(got, []string{"memory", "pebble"}) {
		t.Errorf("got %v", got)
	}
}

func TestRedisThatIsNotThereIsNamed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, err := Redis(t.Context()); err == nil || !strings.Contains(err.Error(), "apt-get install redis-server") {
		t.Errorf("got %v", err)
	}
}

func TestNATSConfig(t *testing.T) {
	s := jetStream{ports: [copies]int{100, 200, 300}}
	const want = `server_name: s2
listen: "127.0.0.1:200"
jetstream { store_dir: "/data dir" }
cluster { name: peers, listen: "127.0.0.1:201", routes: ["nats://127.0.0.1:101", "nats://127.0.0.1:201", "nats://127.0.0.1:301"] }
`
	if got := s.config(1, "s2", "/data dir"); got != want {
		t.Errorf("got\n%s", got)
	}
	s.durable = true
	if got := s.config(1, "s2", "/d"); !strings.Contains(got, `{ store_dir: "/d", sync_interval: always }`) {
		t.Errorf("got\n%s", got)
	}
}

func TestConns(t *testing.T) {
	if got := (Env{}).conns(3); got != 3 {
		t.Errorf("got %d", got)
	}
	if got := (Env{Conns: 2}).conns(3); got != 2 {
		t.Errorf("got %d", got)
	}
}
