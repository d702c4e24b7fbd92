package transport

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/wire"
)

// played plays a connection's reader in virtual time: messages of a byte come
// at a rate, and each takes work to serve, or a little to be refused.
type played struct {
	c              *accepted
	socket         heldSocket
	work, refuse   time.Duration
	buf            []byte
	served, missed int
	longest        time.Duration
}

func newPlayed(maxWait time.Duration) *played {
	s := &played{refuse: 2 * time.Microsecond, buf: make([]byte, 64)}
	s.c = &accepted{server: &Server{cfg: Config{MaxWait: maxWait}}}
	s.c.since = &arrival{src: &s.socket, now: func() time.Duration { return s.socket.now }, backlog: s.socket.held}
	return s
}

// offer has a message come every so often from now on.
func (s *played) offer(every, lasts time.Duration) {
	from := s.socket.now
	if n := len(s.socket.comes); n > 0 {
		from = max(from, s.socket.comes[n-1])
	}
	for at := time.Duration(0); at < lasts; at += every {
		s.socket.comes = append(s.socket.comes, from+at)
	}
}

// play reads and serves all that was offered, and counts from then on.
func (s *played) play(from time.Duration) {
	s.served, s.missed, s.longest = 0, 0, 0
	for {
		at := s.socket.read
		n, err := s.c.since.Read(s.buf)
		if err != nil {
			return
		}
		for ; n > 0; n, at = n-1, at+1 {
			came, counts := s.socket.comes[at], s.socket.now >= from
			late := s.c.late(s.socket.now - s.c.since.since)
			switch {
			case late && counts:
				s.missed++
			case counts:
				s.served++
				s.longest = max(s.longest, s.socket.now-came)
			}
			if late {
				s.socket.now += s.refuse
			} else {
				s.socket.now += s.work
			}
		}
	}
}

// TestLateUnderOverload: whatever the load, nearly as much is served as can be
// beside the refusals, none of it much older than MaxWait; and when the load ends,
// so do the refusals.
func TestLateUnderOverload(t *testing.T) {
	const maxWait = 100 * time.Millisecond
	for _, times := range []int{2, 3, 10} {
		s := newPlayed(maxWait)
		s.work = 200 * time.Microsecond
		every := s.work / time.Duration(times)
		s.offer(every, 3*time.Second)
		s.play(time.Second)
		possible := 2 * (float64(time.Second) - float64(time.Second/every)*float64(s.refuse)) / float64(s.work-s.refuse)
		if float64(s.served) < 0.95*possible || s.missed == 0 || s.longest > maxWait+64*s.work {
			t.Errorf("%d times the load: %d of %.0f served, %d refused, the longest wait was %v", times, s.served, possible, s.missed, s.longest)
		}
		s.offer(2*s.work, time.Second)
		s.play(s.socket.now + standsAfter)
		if s.missed > 0 {
			t.Errorf("after %d times the load: %d are refused though there is room", times, s.missed)
		}
	}
}

// TestLateLetsBurstsPass: what a pause leaves is served, and a server that is busy
// without a queue refuses nothing; nor does one that seldom gets a processor, and
// catches up each time.
func TestLateLetsBurstsPass(t *testing.T) {
	s := newPlayed(20 * time.Millisecond)
	s.work = 90 * time.Microsecond
	for range 10 {
		s.offer(100*time.Microsecond, time.Second)
		s.play(0)
		if s.missed > 0 {
			t.Fatalf("%d are refused at nine tenths of the load", s.missed)
		}
	}
	s.work = 20 * time.Microsecond
	for range 10 {
		s.offer(100*time.Microsecond, 300*time.Millisecond)
		s.socket.now += 300 * time.Millisecond
		s.play(0)
		if s.missed > 0 {
			t.Fatalf("%d are refused after a pause", s.missed)
		}
	}
}

// TestLateOff: without a limit nothing is late.
func TestLateOff(t *testing.T) {
	s := newPlayed(0)
	s.work = 200 * time.Microsecond
	s.offer(s.work/3, 2*time.Second)
	if s.play(0); s.missed > 0 {
		t.Errorf("%d are refused", s.missed)
	}
}

// lateHandler takes note of what is said to be late.
type lateHandler struct{ late map[wire.Type]bool }

// Handle implements wire.Handler.
func (h lateHandler) Handle(req wire.Request) { h.late[req.Type] = req.Late }

// TestOnlyBeginningsAreLate: what belongs to a request that was let in is not; but
// while it is late nothing is begun, on any connection, and a moment later again.
func TestOnlyBeginningsAreLate(t *testing.T) {
	h := lateHandler{map[wire.Type]bool{}}
	s := &Server{cfg: Config{MaxWait: time.Hour}, handler: h, made: time.Now()}
	c := &accepted{server: s, since: &arrival{stood: time.Second, since: -time.Minute}, began: s.made}
	other := &accepted{server: s, since: &arrival{}, began: s.made}
	told := func(c *accepted, typ wire.Type) bool {
		c.handle(wire.Header{Type: typ, Deadline: 100_000_000}, nil)
		return h.late[typ]
	}
	s.cfg.MaxWait = time.Second
	for _, typ := range []wire.Type{wire.TypeHandoff, wire.TypeGet, wire.TypePut} {
		if want := typ != wire.TypeHandoff; told(c, typ) != want {
			t.Errorf("%v: late is %v", typ, !want)
		}
	}
	if told(other, wire.TypePut) {
		t.Error("one connection's queue is held against another's requests")
	}
	if told(c, wire.TypeReplicaPut) || told(c, wire.TypeReplicaRead) {
		t.Error("a message of a request that was let in is refused")
	}
	s.behind.Store(int64(time.Since(s.made) + time.Hour)) // it is late for the next hour
	if !told(other, wire.TypePut) || !told(other, wire.TypeGet) || told(other, wire.TypeReplicaPut) {
		t.Error("requests are begun though what was begun is late")
	}
	s.behind.Store(1)
	s.made = s.made.Add(-time.Minute)
	other.offset = time.Minute
	if told(other, wire.TypePut) {
		t.Error("what was late a minute ago is held against requests")
	}
}
