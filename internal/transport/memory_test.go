package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// pair returns both ends of a connection from host a to host b.
func pair(t *testing.T, m *Memory) (near, far net.Conn) {
	t.Helper()
	l, err := m.Host("b").Listen("b:1")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = m.Host("a").Dial(context.Background(), "b:1"); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = near.Close()
		_ = far.Close()
	})
	return near, far
}

func read(nc net.Conn) string {
	b := make([]byte, 100)
	n, err := nc.Read(b)
	if err != nil {
		return err.Error()
	}
	return string(b[:n])
}

func TestMemoryDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		m.Delay("a", "b", time.Second, 0)
		began := time.Now()
		near, far := pair(t, m)
		if d := time.Since(began); d != time.Second {
			t.Errorf("connecting took %v, want there and back", d)
		}
		began = time.Now()
		_, _ = near.Write([]byte("one"))
		time.Sleep(time.Second / 2)
		_, _ = near.Write([]byte("two"))
		_ = near.Close()
		for _, want := range []struct {
			text string
			at   time.Duration
		}{{"one", time.Second}, {"two", 3 * time.Second / 2}, {"EOF", 3 * time.Second / 2}} {
			if got := read(far); got != want.text || time.Since(began) != want.at {
				t.Errorf("%q after %v, want %q after %v", got, time.Since(began), want.text, want.at)
			}
		}
	})
}

func TestMemoryJitterKeepsOrderAndRepeats(t *testing.T) {
	run := func() (arrivals []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			m := NewMemory(7)
			near, far := pair(t, m)
			m.Delay("a", "b", 0, time.Second)
			began := time.Now()
			for i := range 20 {
				_, _ = near.Write([]byte{byte(i)})
			}
			b := make([]byte, 1)
			for i := range 20 {
				if _, err := far.Read(b); err != nil || b[0] != byte(i) {
					t.Fatalf("byte %d is %d, %v", i, b[0], err)
				}
				arrivals = append(arrivals, time.Since(began))
			}
		})
		return arrivals
	}
	one, two := run(), run()
	for i := range one {
		if one[i] != two[i] {
			t.Fatalf("byte %d came after %v and %v with the same seed", i, one[i], two[i])
		}
	}
	if one[19] == 0 || one[0] == one[19] {
		t.Errorf("there is no jitter: %v", one)
	}
}

func TestMemoryCutHoldsBytesUntilHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		near, far := pair(t, m)
		m.Cut("a", "b")
		_, _ = near.Write([]byte("held"))
		_, _ = far.Write([]byte("the other way"))
		if got := read(near); got != "the other way" {
			t.Errorf("the direction that is not cut: %q", got)
		}
		_ = far.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read over a cut link: %v", err)
		}
		_ = far.SetReadDeadline(time.Time{})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := m.Host("b").Dial(ctx, "a:1"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("dial against the cut: %v", err)
		}
		m.Heal("a", "b")
		if got := read(far); got != "held" {
			t.Errorf("after healing: %q", got)
		}
	})
}

func TestMemoryDropAndKill(t *testing.T) {
	ends := map[string]func(*Memory){
		"drop":              func(m *Memory) { m.Drop("b", "a") },
		"kill the dialler":  func(m *Memory) { m.Kill("a") },
		"kill the listener": func(m *Memory) { m.Kill("b") },
	}
	for name, end := range ends {
		synctest.Test(t, func(t *testing.T) {
			m := NewMemory(1)
			near, far := pair(t, m)
			_, _ = near.Write([]byte("lost"))
			end(m)
			for _, nc := range []net.Conn{near, far} {
				if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%s: read: %v", name, err)
				}
				if _, err := nc.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("%s: write: %v", name, err)
				}
			}
			pair(t, m) // the hosts can be used again
		})
	}
}

func TestMemoryWriterWaitsForTheReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := pair(t, NewMemory(1))
		var wg sync.WaitGroup
		wrote := 0
		wg.Go(func() { wrote, _ = near.Write(make([]byte, streamBuffer+10)) })
		synctest.Wait()
		if wrote != 0 {
			t.Error("a write past the buffer ended without a reader")
		}
		if _, err := io.ReadFull(far, make([]byte, streamBuffer+10)); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if wrote != streamBuffer+10 {
			t.Errorf("%d bytes were written", wrote)
		}
		_ = near.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := near.Write(make([]byte, streamBuffer+10))
		if n != streamBuffer || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a write with a deadline: %d, %v", n, err)
		}
	})
}

func TestMemoryRefusals(t *testing.T) {
	m := NewMemory(1)
	if _, err := m.Host("a").Dial(context.Background(), "b:1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial without a listener: %v", err)
	}
	if _, err := m.Host("a").Listen("b:1"); err == nil {
		t.Error("a host listens for another")
	}
	l, err := m.Host("b").Listen("b:1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Host("b").Listen("b:1"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("the second listener: %v", err)
	}
	nc, err := m.Host("a").Dial(context.Background(), "b:1")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept on a closed listener: %v", err)
	}
	if _, err := nc.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("a connection that nobody accepted: %v", err)
	}
}
