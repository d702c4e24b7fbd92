package transport

import (
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

// heldSocket is a socket into which bytes come at given times, and its clock: a
// read takes no time if there is something to read, and else until there is.
type heldSocket struct {
	now    time.Duration
	comes  []time.Duration // of each byte, in order
	read   int
	lookAt int // how many bytes have come
}

func (s *heldSocket) held() int {
	for s.lookAt < len(s.comes) && s.comes[s.lookAt] <= s.now {
		s.lookAt++
	}
	return s.lookAt - s.read
}

func (s *heldSocket) Read(p []byte) (int, error) {
	if s.read == len(s.comes) {
		return 0, io.EOF
	}
	s.now = max(s.now, s.comes[s.read])
	n := min(len(p), s.held())
	s.read += n
	return n, nil
}

// TestArrivalBound: no byte came before the time that is told, whatever the load;
// and where the system tells what a socket holds, a byte is not told to have
// waited for more than a few times as long as the longest that was read with it.
func TestArrivalBound(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, load := range []float64{0.5, 0.9, 1, 1.3} {
		for _, asks := range []bool{true, false} {
			s := &heldSocket{}
			at := 0.0
			for range 200_000 {
				at += 10 * rng.ExpFloat64() // a byte each 10 µs
				s.comes = append(s.comes, time.Duration(at)*time.Microsecond)
			}
			a := &arrival{src: s, now: func() time.Duration { return s.now }}
			if asks {
				a.backlog = s.held
			}
			work := time.Duration(load * 10 * float64(time.Microsecond))
			var worst, told time.Duration
			for p := make([]byte, 64); ; {
				from := s.read
				n, err := a.Read(p)
				if err != nil {
					break
				}
				if first := s.comes[from]; a.since > first {
					t.Fatalf("load %v: a byte that came at %v is told to have come at %v or later", load, first, a.since)
				}
				worst, told = max(worst, s.now-s.comes[from]), max(told, s.now-a.since)
				s.now += time.Duration(n) * work
			}
			if limit := 3*worst + 3*time.Millisecond; asks && told > limit {
				t.Errorf("load %v: the longest wait was %v, told are %v", load, worst, told)
			}
		}
	}
}

// TestArrivalOfPauses: a read that waited for long says so until that is heeded.
func TestArrivalOfPauses(t *testing.T) {
	s := &heldSocket{comes: []time.Duration{0, pauses, 2*pauses + 1, 2*pauses + 2}}
	a := &arrival{src: s, now: func() time.Duration { return s.now }}
	for i, want := range []bool{false, false, true, true} {
		if _, err := a.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if a.paused != want {
			t.Errorf("after byte %d: paused is %v", i, a.paused)
		}
	}
}

// TestBacklog: where the system tells what a socket holds, it is right.
func TestBacklog(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	held := backlogOf(in)
	if held == nil {
		return // not this system
	}
	if n := held(); n != 0 {
		t.Errorf("a new connection holds %d bytes", n)
	}
	if _, err := out.Write(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(in, make([]byte, 400)); err != nil {
		t.Fatal(err)
	}
	for held() != 600 && t.Context().Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if allocs := testing.AllocsPerRun(100, func() { held() }); allocs > 0 {
		t.Errorf("asking allocates %v times", allocs)
	}
}
