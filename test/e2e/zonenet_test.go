package e2e_test

import (
	"bytes"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// zoneNet ties zones to each other, far apart. A zone is a host of a network, on
// which several nodes may live: they reach each other at once, and the tests reach
// them at once, over the bridge. What a zone sends to another goes by a cable of
// its own, whose other end is in the test: there each packet waits for as long as
// the zones are apart. So everything is as late as it would be, handshakes of TCP
// and gossip as well.
type zoneNet struct {
	*network
	cables []*cable
	wg     sync.WaitGroup
	done   chan struct{}
	// delay is how long a packet takes from one zone to another, in nanoseconds.
	delay atomic.Int64
	// crossed counts packets that went from one zone to another.
	crossed atomic.Int64
}

// cable is what ties a zone to the others.
type cable struct {
	file *os.File
	// lost tells that nothing comes or goes.
	lost atomic.Bool
	// under are the packets on their way to the zone.
	under chan packet
}

type packet struct {
	due  time.Time
	data []byte
}

// zoneAddr is the address of zone i at which other zones reach it.
func zoneAddr(i int) string { return fmt.Sprintf("10.78.0.%d", i+1) }

// newZoneNet lays a network of n zones. The test is skipped where that is not
// possible.
func newZoneNet(t *testing.T, n int, delay time.Duration) *zoneNet {
	t.Helper()
	w := &zoneNet{network: newNetwork(t, n), done: make(chan struct{})}
	w.delay.Store(int64(delay))
	for i, h := range w.hosts {
		name := fmt.Sprintf("zone%d", i+1)
		f, err := openTun(name)
		if err != nil {
			t.Skip("zones cannot be set apart here: " + err.Error())
		}
		t.Cleanup(func() { f.Close() })
		w.cables = append(w.cables, &cable{file: f, under: make(chan packet, 1<<16)})
		w.ip(nil, "link", "set", name, "netns", fmt.Sprint(h.holder.Process.Pid))
		w.ip(h, "address", "add", zoneAddr(i)+"/24", "dev", name)
		w.ip(h, "link", "set", name, "up")
		for j := range i { // no way but by the cables
			w.cut([]int{i}, []int{j})
		}
	}
	for _, c := range w.cables {
		w.wg.Go(func() { w.forward(c) })
		w.wg.Go(func() { w.deliver(c) })
	}
	t.Cleanup(func() {
		close(w.done)
		for _, c := range w.cables {
			c.file.Close()
		}
		w.wg.Wait()
	})
	return w
}

// forward puts on its way what comes out of a zone, until the cable is closed.
func (w *zoneNet) forward(from *cable) {
	const ipv4, target = 4, 19 // where the address that a packet goes to ends
	room := make([]byte, 1<<16)
	for {
		n, err := from.file.Read(room)
		if err != nil {
			return
		}
		if n <= target || room[0]>>4 != ipv4 {
			continue
		}
		to := int(room[target]) - 1
		if to < 0 || to >= len(w.cables) || from.lost.Load() || w.cables[to].lost.Load() {
			continue
		}
		w.crossed.Add(1)
		select {
		case w.cables[to].under <- packet{time.Now().Add(time.Duration(w.delay.Load())), bytes.Clone(room[:n])}:
		default: // too many are under way
		}
	}
}

// deliver has packets arrive in a zone when their time has come.
func (w *zoneNet) deliver(at *cable) {
	for {
		select {
		case p := <-at.under:
			time.Sleep(time.Until(p.due))
			if !at.lost.Load() {
				_, _ = at.file.Write(p.data)
			}
		case <-w.done:
			return
		}
	}
}

// lose has nothing come out of a zone or into it any more; find undoes that.
func (w *zoneNet) lose(i int) { w.cables[i].lost.Store(true) }

func (w *zoneNet) find(i int) { w.cables[i].lost.Store(false) }
