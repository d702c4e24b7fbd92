package transport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestDelayed: all arrives, in order and whole, that much later; the other
// direction is as it was.
func TestDelayed(t *testing.T) {
	const late = 100 * time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		l, err := m.Host("b").Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		if Delayed(l, 0) != l {
			t.Error("a listener without a delay is another one")
		}
		near, err := m.Host("a").Dial(t.Context(), "b:1")
		if err != nil {
			t.Fatal(err)
		}
		far, err := Delayed(l, late).Accept()
		if err != nil {
			t.Fatal(err)
		}
		sent := bytes.Repeat([]byte("0123456789"), delayBuffer/8) // more than is held up
		go func() {
			_, _ = near.Write(sent)
			_ = near.Close()
		}()
		began := time.Now()
		var first [1]byte
		if _, err := io.ReadFull(far, first[:]); err != nil || time.Since(began) != late {
			t.Errorf("the first byte came after %v (%v)", time.Since(began), err)
		}
		rest, err := io.ReadAll(far)
		if err != nil || !bytes.Equal(append(first[:], rest...), sent) {
			t.Errorf("%d of %d bytes came, or others (%v)", 1+len(rest), len(sent), err)
		}
		if err := far.Close(); err != nil {
			t.Error(err)
		}
		_ = l.Close()
	})
}

func TestDelayedEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(1)
		l, err := m.Host("b").Listen("b:1")
		if err != nil {
			t.Fatal(err)
		}
		near, err := m.Host("a").Dial(t.Context(), "b:1")
		if err != nil {
			t.Fatal(err)
		}
		far, err := Delayed(l, time.Second).Accept()
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := far.SetDeadline(began.Add(time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Millisecond {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		if err := far.SetReadDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Minute, func() { _ = far.Close() })
		if _, err := far.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("a read of what was closed: %v", err)
		}
		_ = near.Close()
		_ = l.Close()
	})
}
