package e2e_test

import (
	"cmp"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// stop ends a node as an operator does.
func (p *process) stop() {
	p.t.Helper()
	p.signal(term)
	if code := p.wait(); code != 0 {
		p.t.Errorf("%s: exit status %d after SIGTERM", p.name, code)
	}
}

// reopen restarts a node, so that what its log held is in the engine's other files.
func (p *process) reopen() {
	p.t.Helper()
	p.stop()
	p.start()
	p.await("/readyz")
}

// damage flips a byte in every stretch of step bytes of the node's files of a
// kind, and returns how many it flipped.
func (p *process) damage(kind string, step int64) (flipped int) {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.data, "engine", kind))
	if err != nil || len(files) == 0 {
		p.t.Fatalf("%s has no files %s: %v", p.name, kind, err)
	}
	for _, name := range files {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			p.t.Fatal(err)
		}
		size, err := f.Seek(0, 2)
		if err != nil {
			p.t.Fatal(err)
		}
		b := make([]byte, 1)
		for at := min(step, size) / 2; at < size; at += step {
			if _, err := f.ReadAt(b, at); err != nil {
				p.t.Fatal(err)
			}
			b[0] ^= 0x55
			if _, err := f.WriteAt(b, at); err != nil {
				p.t.Fatal(err)
			}
			flipped++
		}
		if err := f.Close(); err != nil {
			p.t.Fatal(err)
		}
	}
	return flipped
}

// TestWipedDisk: a node whose disk was wiped does not come back as the old one:
// the ring believes that it has its data. It waits and says what to do, and the
// others go on.
func TestWipedDisk(t *testing.T) {
	c := start(t, 3)
	acked := c.putAll(t, "k", 100, 0, "", 0, 1, 2)
	n3 := c.nodes[2]
	n3.kill()
	if err := os.RemoveAll(n3.data); err != nil {
		t.Fatal(err)
	}
	n3.start()
	n3.awaitLog(t, "ringtail cluster replace n3")
	if s := n3.stats(); s.Keys != 0 {
		t.Errorf("%d records at a node that waits for an operator's word", s.Keys)
	}
	c.getAll(t, "with a wiped node", acked, "?r=2&strict=true", 0)
	c.putAll(t, "later", 100, 0, "", 0, 1)
}

// spot is a kind of files, and every how many bytes one of them is flipped.
type spot struct {
	kind string
	step int64
}

// spots are where the engines' files are damaged: each of values has its own case,
// and vital is what an engine cannot be opened without.
var spots = map[string]struct{ values, vital []spot }{
	"pebble": {
		// Small values stand in the tables, large ones in blobs.
		values: []spot{{"*.blob", 64 << 10}, {"*.sst", 16 << 10}},
		vital:  []spot{{"MANIFEST-*", 64}},
	},
	"logstore": {
		values: []spot{{"*.seg", 64 << 10}},
		// Without a hint a segment has to be whole.
		vital: []spot{{"*.hint", 4 << 10}, {"*.seg", 64 << 10}},
	},
}

// TestDamagedFiles: bytes of a node's files are flipped. Nothing damaged is
// served, strict gets stay right, the node says so and fills itself again.
func TestDamagedFiles(t *testing.T) {
	full(t)
	c := start(t, 3, "--repair-every", "2s")
	n3 := c.nodes[2]
	engine := cmp.Or(os.Getenv("RINGTAIL_ENGINE"), "logstore")
	acked := c.putAll(t, "large", 3000, 2000, "?w=3", 0, 1, 2)
	for key, v := range c.putAll(t, "small", 3000, 20, "?w=3", 0, 1, 2) {
		acked[key] = v
	}
	n3.reopen()

	damage := func(all []spot) (flipped int) {
		for _, s := range all {
			flipped += n3.damage(s.kind, s.step)
		}
		return flipped
	}
	values, vital := spots[engine].values, spots[engine].vital
	for i := range values {
		t.Run(values[i].kind+" while it is stopped", func(t *testing.T) {
			n3.stop()
			flipped := damage(values[i : i+1])
			c.refills(t, acked, fmt.Sprintf("%d bytes", flipped))
		})
	}
	t.Run("values while it runs", func(t *testing.T) {
		n3.reopen()
		flipped := damage(values)
		n3.do(http.DefaultClient, "POST", "/scrub", nil).want(t, 202, "")
		c.strictly(t, acked)
		// What is still in its cache is found once that is gone.
		n3.kill()
		c.refills(t, acked, fmt.Sprintf("%d bytes", flipped))
	})
	t.Run("an engine that cannot be opened", func(t *testing.T) {
		aside := filepath.Join(n3.data, "engine.damaged-*")
		before, _ := filepath.Glob(aside)
		n3.stop()
		damage(vital)
		c.refills(t, acked, "what it is opened by")
		if kept, _ := filepath.Glob(aside); len(kept) != len(before)+1 {
			t.Errorf("what could not be opened was not set aside: %v", kept)
		}
	})
}

// refills starts the third node, whose files are damaged, and checks that it never shows a wrong value, says
// that it is damaged, and fills itself again from the others.
func (c *cluster) refills(t *testing.T, want map[string]string, what string) {
	t.Helper()
	n3 := c.nodes[2]
	said := strings.Count(n3.log.String(), "damaged")
	n3.start()
	n3.await("/healthz")
	wrong, refused := 0, 0
	for key, value := range want {
		switch a := n3.do(http.DefaultClient, "GET", keyPath(key)+"?r=1", nil); {
		case a.status == 200 && string(a.body) == value:
		case a.err == nil && a.status >= 500:
			refused++
		default:
			if wrong++; wrong < 3 {
				t.Errorf("%s at the damaged node: %v", key, a)
			}
		}
	}
	t.Logf("%s: %d of %d gets of the damaged copies refused, %d wrong", what, refused, len(want), wrong)
	n3.await("/readyz")
	c.strictly(t, want)
	c.awaitConverged(t)
	if log := n3.log.String(); strings.Count(log, "damaged") <= said {
		t.Errorf("the node does not say that it is damaged:\n%s", tail(log, 10))
	}
	c.everywhere(t, want)
}

// strictly checks that a strict quorum get at any node is right.
func (c *cluster) strictly(t *testing.T, want map[string]string) {
	t.Helper()
	for i := range c.nodes {
		c.getAll(t, "strict get", want, "?r=2&strict=true", i)
	}
}

// tmpfs mounts a small file system.
func tmpfs(t *testing.T, dir, size string) {
	t.Helper()
	if noNetwork != "" {
		t.Skip("no file system can be mounted here: " + noNetwork)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir).CombinedOutput(); err != nil {
		t.Fatalf("mount: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--lazy", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
}

// TestFullDisk: a node's disk fills under load. Writes there are refused, the
// others take them over with hints, and once there is space again it gets them.
func TestFullDisk(t *testing.T) {
	full(t)
	c := prepare(t, 5)
	n3 := c.nodes[2]
	tmpfs(t, n3.data, "384m")
	ballast := filepath.Join(n3.data, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 224<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	c.launch()
	l := c.startLoadOf(4, 32<<10)
	l.avoid(2)
	if last := await(time.Minute, func() string {
		if n3.metric(t, "ringtail_storage_refused_total") == 0 {
			return fmt.Sprintf("nothing was refused, of %d requests; %.0f bytes are free", l.ops.Load(), n3.metric(t, "ringtail_storage_free_bytes"))
		}
		return ""
	}); last != "" {
		t.Fatal(last)
	}
	// Compactions would soon make some room again: somebody else takes it.
	if room := int(n3.metric(t, "ringtail_storage_free_bytes")) - 32<<20; room > 0 {
		if err := os.WriteFile(ballast+"2", make([]byte, room), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l.run(2 * time.Second)
	acked := l.end()
	noneRefused(t, l)
	hints := uint64(0)
	for _, p := range c.nodes {
		hints += p.hints()
	}
	t.Logf("%d puts of 32 KiB, of which %d are kept as hints", len(acked), hints)
	if hints == 0 {
		t.Error("nobody keeps hints for the full node")
	}
	refused := 0
	for i := range 20 {
		// What needs every owner tells whether the full one takes anything.
		a := c.do(0, "PUT", keyPath(fmt.Sprintf("full-%d", i))+"?w=3&strict=true", []byte("v"))
		if a.status != 204 {
			refused++
			a.want(t, 503, "").failure(t)
		}
		// What does not is taken by others.
		c.put(0, fmt.Sprintf("full-%d", i), "v").want(t, 204, "")
	}
	t.Logf("%d of 20 puts that need every owner refused", refused)
	if refused == 0 {
		t.Error("the full node takes every put")
	}
	c.getAll(t, "read while a disk is full", acked, "", 0)

	for _, name := range []string{ballast, ballast + "2"} {
		if err := os.Remove(name); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	c.awaitConverged(t)
	c.everywhere(t, acked)
	c.put(2, "after", "v").want(t, 204, "")
}
