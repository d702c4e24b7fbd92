package membership

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// counter is a source of "random" numbers that tests can foretell.
func counter(from uint64) func() uint64 {
	return func() uint64 { from++; return from }
}

func mustOpenDirectory(t *testing.T, fs vfs.FS, path, name string, random func() uint64) *directory {
	t.Helper()
	d, err := openDirectory(fs, path, name, random, 10, wire.MaxVersion)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestStartsOfADirectory(t *testing.T) {
	fs := vfs.NewMem()
	random := counter(100)
	d := mustOpenDirectory(t, fs, "/a/b/n1", "n1", random)
	first := d.record()
	if first.node != 101 || first.boot != 1 || first.nonce != 102 || first.base != 0 || first.reserved != 10 {
		t.Fatalf("first start: %+v", first)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	d = mustOpenDirectory(t, fs, "/a/b/n1", "n1", random)
	second := d.record()
	if second.node != 101 || second.boot != 2 || second.nonce != 103 || second.base != 10 || second.reserved != 20 {
		t.Fatalf("second start: %+v", second)
	}
	if id := d.identity(); id.Base != 10 || id.Limit != 20 || id.Boot != 2 || id.Node != 101 || id.Nonce != 103 {
		t.Errorf("identity %+v", id)
	}
}

func TestDirectoryInUse(t *testing.T) {
	fs := vfs.NewMem()
	d := mustOpenDirectory(t, fs, "/n1", "n1", counter(0))
	if _, err := openDirectory(fs, "/n1", "n1", counter(50), 10, wire.MaxVersion); kv.KindOf(err) != kv.KindRefused {
		t.Errorf("second process: got %v, want refused", err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	mustOpenDirectory(t, fs, "/n1", "n1", counter(50))
}

func TestDirectoryOfAnotherName(t *testing.T) {
	fs := vfs.NewMem()
	if err := mustOpenDirectory(t, fs, "/n1", "n1", counter(0)).close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openDirectory(fs, "/n1", "n2", counter(50), 10, wire.MaxVersion); kv.KindOf(err) != kv.KindRefused {
		t.Errorf("got %v, want refused", err)
	}
	d := mustOpenDirectory(t, fs, "/n1", "n1", counter(50))
	if got := d.record().boot; got != 2 {
		t.Errorf("the refused start was counted: boot %d, want 2", got)
	}
}

func TestMemoryDirectory(t *testing.T) {
	random := counter(0)
	a := mustOpenDirectory(t, nil, "", "n1", random).record()
	b := mustOpenDirectory(t, nil, "", "n1", random).record()
	if a.node == b.node || a.boot != 1 || b.boot != 1 || b.base != 0 {
		t.Errorf("got %+v and %+v", a, b)
	}
}

func readAll(t *testing.T, fs vfs.FS, name string) []byte {
	t.Helper()
	f, err := fs.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestDamagedNodeFile(t *testing.T) {
	fs := vfs.NewMem()
	if err := mustOpenDirectory(t, fs, "/n1", "n1", counter(0)).close(); err != nil {
		t.Fatal(err)
	}
	good := readAll(t, fs, "/n1/node")
	try := func(b []byte) error {
		if err := writeSynced(fs, "/n1/node", b); err != nil {
			t.Fatal(err)
		}
		d, err := openDirectory(fs, "/n1", "n1", counter(50), 10, wire.MaxVersion)
		if err == nil {
			err = d.close()
			if err == nil {
				err = errors.New("it was opened")
			}
		}
		return err
	}
	for at := range good {
		b := append([]byte(nil), good...)
		b[at] ^= 0x40
		if k := kv.KindOf(try(b)); k != kv.KindCorrupt && !(k == kv.KindWrongVersion && at >= 4 && at < 6) {
			t.Errorf("byte %d changed: got %v", at, k)
		}
	}
	for n := range good {
		if k := kv.KindOf(try(good[:n])); k != kv.KindCorrupt {
			t.Errorf("cut to %d bytes: got %v, want corrupt", n, k)
		}
	}
	if k := kv.KindOf(try(append(append([]byte(nil), good...), 0))); k != kv.KindCorrupt {
		t.Errorf("a byte more: got %v, want corrupt", k)
	}
}

func TestNodeFileOfALaterRelease(t *testing.T) {
	b := nodeFile.append(nil, []byte("whatever"))
	binary.BigEndian.PutUint16(b[4:], nodeFile.version+1)
	end := len(b) - 4
	binary.BigEndian.PutUint32(b[end:], crc32.Checksum(b[:end], castagnoli))
	if _, err := nodeFile.parse(b); kv.KindOf(err) != kv.KindWrongVersion {
		t.Errorf("got %v, want wrong version", err)
	}
}

func TestMissingNodeFile(t *testing.T) {
	fs := vfs.NewMem()
	d := mustOpenDirectory(t, fs, "/n1", "n1", counter(0))
	if err := d.saveState(newState(1, nil, nil, nil)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(d.close(), fs.Remove("/n1/node")); err != nil {
		t.Fatal(err)
	}
	if _, err := openDirectory(fs, "/n1", "n1", counter(50), 10, wire.MaxVersion); kv.KindOf(err) != kv.KindCorrupt {
		t.Errorf("got %v, want corrupt", err)
	}
}

func TestAliasLimit(t *testing.T) {
	r := record{node: 1, boot: 1}
	var err error
	for i := range MaxAliases {
		if r, err = r.aliased(kv.NodeID(1000 - i)); err != nil {
			t.Fatalf("alias %d: %v", i, err)
		}
	}
	if again, err := parseRecord(r.append(nil)); err != nil || len(again.aliases) != MaxAliases {
		t.Errorf("read back: %d aliases, %v", len(again.aliases), err)
	}
	if _, err := r.aliased(1); kv.KindOf(err) != kv.KindRefused {
		t.Errorf("one past the limit: got %v, want refused", err)
	}
}

func TestChangeThatFails(t *testing.T) {
	d := mustOpenDirectory(t, nil, "", "n1", counter(0))
	before := d.record().reserved
	boom := errors.New("boom")
	if err := d.change(context.Background(), func(r record) (record, error) { r.reserved++; return r, boom }); err != boom {
		t.Errorf("got %v", err)
	}
	if got := d.record().reserved; got != before {
		t.Errorf("reserved is %d, want %d", got, before)
	}
	done, cancel := context.WithCancel(context.Background())
	cancel()
	d.turn <- struct{}{}
	if err := d.change(done, nil); kv.KindOf(err) != kv.KindTimeout {
		t.Errorf("got %v, want timeout", err)
	}
}
