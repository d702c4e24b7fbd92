package membership

import (
	"sync"
	"sync/atomic"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// phase is how far a node may mint under its own id.
type phase uint8

const (
	// phaseAsking: no peer has spoken yet, and there is time left to wait.
	phaseAsking phase = iota
	// phaseAlone: no peer answered in time; an interim id must be taken.
	phaseAlone
	// phaseInterim: an interim id stands in until a peer has spoken.
	phaseInterim
	// phaseConfirmed: a peer has accepted the node's boot and sequence.
	phaseConfirmed
	// phaseStopped: a peer knows more of this node than the node itself.
	phaseStopped
)

// mintState decides under whose id a node mints; it is a value.
type mintState struct {
	phase phase
	// id is what to mint under; zero unless interim or confirmed.
	id kv.NodeID
	// err is why it stopped.
	err error
}

// confirmed is the state after a peer's word.
func (m mintState) confirmed(own kv.NodeID) mintState {
	if m.phase == phaseStopped {
		return m
	}
	return mintState{phase: phaseConfirmed, id: own}
}

// waited is the state after the time to wait has passed.
func (m mintState) waited() mintState {
	if m.phase == phaseAsking {
		m.phase = phaseAlone
	}
	return m
}

// standIn is the state once an interim id is recorded.
func (m mintState) standIn(id kv.NodeID) mintState {
	if m.phase == phaseAlone {
		return mintState{phase: phaseInterim, id: id}
	}
	return m
}

// stopped is the state after a peer's refusal.
func (m mintState) stopped(err error) mintState {
	if m.phase == phaseStopped {
		return m
	}
	return mintState{phase: phaseStopped, err: err}
}

// Mint says under whose id, and with which sequence, a new dot is made (DESIGN
// section 3, "Node sequence"). A node that was started from an old copy of its
// directory would issue dots twice; therefore it mints under its own id only
// after a peer has accepted its boot and sequence. When none does in time it
// does not wait (§2.3: always writable), but mints under an interim id that it
// never used before. Safe for concurrent use.
type Mint struct {
	own   kv.NodeID
	seq   *sequence
	state atomic.Pointer[mintState]
	ready chan struct{}
	once  sync.Once
	// turn holds a token while an interim id is recorded.
	turn chan struct{}
	// interim draws an interim id and records it durably.
	interim func() (kv.NodeID, error)
}

// newMint returns a mint for the node own. A fresh id, which nobody else can
// have used, needs no peer's word.
func newMint(own kv.NodeID, seq *sequence, fresh bool, interim func() (kv.NodeID, error)) *Mint {
	m := &Mint{own: own, seq: seq, ready: make(chan struct{}), turn: make(chan struct{}, 1), interim: interim}
	m.state.Store(&mintState{})
	if fresh {
		m.confirm()
	}
	return m
}

// Next returns the id and the sequence of a new dot. It waits for the disk only
// when an interim id must be recorded or a block of sequences ran out.
//
// Errors, all with AppliedNo: KindUnavailable before Ready is closed,
// KindOldCopy once a peer has refused the node, KindStorage when the disk
// fails.
func (m *Mint) Next() (kv.NodeID, uint64, error) {
	s := m.state.Load()
	if s.id == 0 {
		var err error
		if s, err = m.settle(); err != nil {
			return 0, 0, err
		}
	}
	n, err := m.seq.next()
	if err != nil {
		return 0, 0, err
	}
	return s.id, n, nil
}

// First returns the first sequence of this start; no lower one is ever handed
// out again.
func (m *Mint) First() uint64 { return m.seq.first }

// Ready is closed once Next can succeed: when a peer has accepted this node, or
// Config.ConfirmWait after Run began.
func (m *Mint) Ready() <-chan struct{} { return m.ready }

// settle returns a state with an id to mint under, for which it takes an
// interim id if need be.
func (m *Mint) settle() (*mintState, error) {
	m.turn <- struct{}{}
	defer func() { <-m.turn }()
	s := m.state.Load()
	switch {
	case s.phase == phaseStopped:
		return nil, s.err
	case s.phase == phaseAsking:
		return nil, kv.Errorf(kv.KindUnavailable, "mint", "no peer has confirmed this node's sequence yet")
	case s.id != 0:
		return s, nil
	}
	id, err := m.interim()
	if err != nil {
		return nil, err
	}
	s = m.move(func(s mintState) mintState { return s.standIn(id) })
	return s, s.err
}

// confirm, pass and stop carry the state over on an event.
func (m *Mint) confirm() {
	m.move(func(s mintState) mintState { return s.confirmed(m.own) })
	m.open()
}

func (m *Mint) pass() {
	m.move(mintState.waited)
	m.open()
}

func (m *Mint) stop(err error) {
	m.move(func(s mintState) mintState { return s.stopped(err) })
	m.open()
}

func (m *Mint) open() { m.once.Do(func() { close(m.ready) }) }

// confirmed says whether a peer has accepted this node.
func (m *Mint) confirmed() bool { return m.state.Load().phase == phaseConfirmed }

func (m *Mint) move(step func(mintState) mintState) *mintState {
	for {
		old := m.state.Load()
		next := step(*old)
		if m.state.CompareAndSwap(old, &next) {
			return &next
		}
	}
}
