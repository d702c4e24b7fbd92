package antientropy

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/ring"
	"github.com/ringtaildb/ringtail/internal/vclock"
	"github.com/ringtaildb/ringtail/internal/wire"
)

// leader leads sweeps, one at a time. It keeps nothing between two rounds but
// when the next one may be, and so may stop at any step. Two leaders do no harm:
// the members serve one of them, and the other one waits.
type leader struct {
	k *Keeper
	// step is that of the round under way, stepNone between rounds.
	step    step
	round   round
	counter uint64
	era     kv.Level
	// members and removed are hashes of what the leader knew when it began.
	members, removed uint64
	// words are what each member has told, ascending by id.
	words []*word
	// floor is S, once the first step is over. It never changes after that: a
	// mark that comes later would cover what nobody has reported on.
	floor vclock.Floor
	// parts, ascending, are those that are still to be swept.
	parts []kv.Partition
	began time.Time
	// deadline is when the step is not waited for any longer.
	deadline time.Time
	// heldOut tells that some member could not vouch for some partition.
	heldOut bool

	plan plan
	done sweepsDone
}

// word is what a member has told in a round.
type word struct {
	id       kv.NodeID
	standing standing
	low      []lowMark
	// removed tells that the member knows the same nodes to be dead for good.
	removed bool
	// holdouts are the partitions on which it has not reported well yet; nil
	// before its first report.
	holdouts []kv.Partition
	reported bool
	// parts are what it is asked to exchange, or to raise the floors of; result
	// is what it has done of that.
	parts, result []kv.Partition

	// done tells that its part of the step is done, waits that it is asked; next
	// is when it is asked again.
	done, waits bool
	next        time.Time
}

// tick goes on with the round, or begins one.
func (l *leader) tick(now time.Time) {
	if l.step == stepNone {
		l.consider(now)
		return
	}
	if !l.k.cfg.omits(OmitEpochs) {
		switch members := l.k.Cluster.Members(); {
		case l.k.era() != l.era:
			l.abandon(now, "the ring has changed")
		case membersHash(members) != l.members || idsHash(l.k.Cluster.Removed()) != l.removed:
			l.abandon(now, "the members have changed")
		}
	}
	if l.step != stepNone && now.After(l.deadline) {
		l.late(now)
	}
	l.ask(now)
}

// begin begins a round.
func (l *leader) begin(r *ring.Ring, members []Member, now time.Time) {
	l.counter++
	l.round = round{l.k.Self, l.k.Boot(), l.counter}
	l.era, l.members, l.removed = l.k.era(), membersHash(members), idsHash(l.k.Cluster.Removed())
	l.words, l.floor, l.parts, l.began, l.heldOut = nil, nil, nil, now, false
	for _, m := range members {
		l.words = append(l.words, &word{id: m.ID})
	}
	l.to(stepLow, now)
}

// to begins a step.
func (l *leader) to(s step, now time.Time) {
	l.step, l.deadline = s, now.Add(l.k.cfg.Patience)
	if s == stepExchange {
		l.deadline = now.Add(l.k.cfg.ExchangeFor)
	}
	for _, w := range l.words {
		w.done, w.waits, w.next = false, false, now
		w.parts, w.result = nil, nil
	}
	switch s {
	case stepExchange:
		l.share(func(owners []kv.NodeID) []kv.NodeID { return owners[:1] })
	case stepFloor:
		l.share(func(owners []kv.NodeID) []kv.NodeID { return owners })
	}
	l.ask(now)
}

// share gives each partition of the round to those of its owners that pick
// names.
func (l *leader) share(pick func(owners []kv.NodeID) []kv.NodeID) {
	r := l.k.Cluster.Current().Ring
	for _, p := range l.parts {
		for _, id := range pick(r.Owners(p)) {
			if w := l.word(id); w != nil {
				w.parts = append(w.parts, p)
			}
		}
	}
}

func (l *leader) word(id kv.NodeID) *word {
	i, ok := slices.BinarySearchFunc(l.words, id, func(w *word, id kv.NodeID) int { return cmp.Compare(w.id, id) })
	if !ok {
		return nil
	}
	return l.words[i]
}

// ask asks the members that are still to do their part. While exchanges last,
// the others are asked as well, now and then: they would give the round up.
func (l *leader) ask(now time.Time) {
	for _, w := range l.words {
		if l.step == stepNone || w.done && l.step != stepExchange || w.waits || now.Before(w.next) {
			continue
		}
		w.waits = true
		m := sweepAsk{step: l.step, round: l.round, era: l.era, members: l.members, removed: l.removed, told: w.standing}
		switch l.step {
		case stepExchange:
			m.parts = w.parts
		case stepFloor:
			m.parts, m.floor = w.parts, l.floor
		}
		l.send(w, m)
	}
}

// send sends a request, to this node itself without the network.
func (l *leader) send(w *word, m sweepAsk) {
	payload := m.encode()
	done := func(b []byte, err error) {
		// Answers of an earlier step come too late: each step rests on what was
		// settled in the one before.
		if l.round == m.round && l.step == m.step && w.waits {
			l.take(w, b, err)
		}
	}
	if w.id != l.k.Self {
		l.k.call(w.id, wire.TypeSweep, payload, done)
		return
	}
	l.k.post(func() { done(l.k.serveSweep(l.k.Self, payload)) })
}

// take takes a member's answer.
func (l *leader) take(w *word, b []byte, err error) {
	now := l.k.Now()
	w.waits, w.next = false, now.Add(l.k.cfg.Poll)
	var a sweepAnswer
	if err == nil {
		a, err = parseSweepAnswer(b)
	}
	switch kind := kv.KindOf(err); {
	case err == nil:
	case l.step == stepFloor:
		// Whoever cannot raise its floors now is left behind: it will take them
		// over in an exchange.
		w.done = w.done || kind == kv.KindRefused || kind == kv.KindStaleRing
	case kind == kv.KindRefused || kind == kv.KindStaleRing || kind == kv.KindInvalid:
		l.abandon(now, err.Error())
		return
	}
	if err == nil {
		l.note(w, a)
	}
	if w.done {
		w.next = now.Add(l.k.cfg.Patience / 2)
	}
	if l.step != stepNone && !slices.ContainsFunc(l.words, func(w *word) bool { return !w.done }) {
		l.next(now)
	}
}

// note takes what a member tells in the present step.
func (l *leader) note(w *word, a sweepAnswer) {
	if l.step == stepLow {
		w.standing, w.low, w.removed, w.done = a.standing, a.low, a.removed, true
		return
	}
	if !l.k.vouches(w.standing, a.standing) {
		l.abandon(l.k.Now(), "a member was started anew")
		return
	}
	switch l.step {
	case stepReport:
		if w.reported {
			// One good report on a partition is enough.
			a.parts = both(w.holdouts, a.parts)
		}
		w.holdouts, w.reported = a.parts, true
		w.done = len(w.holdouts) == 0
	case stepExchange:
		w.result, w.done = a.parts, a.done
	case stepCheck:
		w.done = true
	case stepFloor:
		w.result, w.done = a.parts, true
	}
}

// next goes on to the next step: all have done their part, or enough of them.
func (l *leader) next(now time.Time) {
	omit := l.k.cfg.omits
	switch l.step {
	case stepLow:
		l.floor = l.lows()
		for p := range l.k.Cluster.Current().Ring.Params().Q {
			l.parts = append(l.parts, kv.Partition(p))
		}
		if !omit(OmitReports) {
			l.to(stepReport, now)
			return
		}
	case stepReport:
		for _, w := range l.words {
			l.parts = minus(l.parts, w.holdouts)
		}
	case stepExchange:
		l.parts = nil
		for _, w := range l.words {
			l.parts = append(l.parts, w.result...)
		}
		slices.Sort(l.parts)
	case stepCheck:
		l.to(stepFloor, now)
		return
	case stepFloor:
		l.end(now)
		return
	}
	switch {
	case len(l.parts) == 0:
		l.abandon(now, "there is no partition that all could vouch for")
	case l.step == stepExchange || omit(OmitExchange):
		l.to(stepCheck, now)
	default:
		l.to(stepExchange, now)
	}
}

// late is called when a step takes too long.
func (l *leader) late(now time.Time) {
	for _, w := range l.words {
		switch {
		case w.done:
		case l.step == stepReport && w.reported, l.step == stepExchange, l.step == stepFloor:
			// The round goes on with the rest.
			if l.step == stepReport {
				l.heldOut = true
				l.stop(now, w.id, "it holds hints, left-over copies or damaged copies")
			}
		default:
			l.stop(now, w.id, "it does not answer")
			l.abandon(now, "a member does not answer")
			return
		}
	}
	l.next(now)
}

// lows returns S: the sequences up to which all is stored, of every id under
// which anybody writes. The nodes that are dead for good write nothing any more,
// if nobody takes anything from them: once all members know that they are.
func (l *leader) lows() vclock.Floor {
	agreed := true
	var marks []lowMark
	for _, w := range l.words {
		agreed = agreed && w.removed
		for _, m := range w.low {
			if m.id != clockMark {
				marks = append(marks, m)
			}
		}
	}
	if agreed {
		for _, id := range l.k.Cluster.Removed() {
			marks = append(marks, lowMark{id, math.MaxUint64})
		}
	}
	// Of two marks of one id the lower holds.
	slices.SortFunc(marks, func(a, b lowMark) int { return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.seq, b.seq)) })
	f := vclock.Floor(vclock.AppendExpiryMark(nil, l.mark()))
	for i, m := range marks {
		if m.seq > 0 && (i == 0 || marks[i-1].id != m.id) {
			f = vclock.AppendFloorEntry(f, m.id, m.seq)
		}
	}
	return f
}

// mark returns S's expiry mark: a moment that was past at every member, also at
// the one whose clock is slowest, by more than clocks may be off. There is none
// unless every member has told what its clock shows, which those of the first
// release do not.
func (l *leader) mark() kv.Expiry {
	var least kv.Expiry
	for _, w := range l.words {
		shows := kv.Expiry(0)
		for _, m := range w.low {
			if m.id == clockMark {
				shows = kv.Expiry(m.seq)
			}
		}
		switch {
		case l.k.cfg.omits(OmitMark) && w.id != l.k.Self:
		case shows == 0:
			return 0
		default:
			least = least.Sooner(shows)
		}
	}
	return max(least, l.margin()) - l.margin()
}

// margin is MaxSkew in milliseconds.
func (l *leader) margin() kv.Expiry { return kv.Expiry(l.k.cfg.MaxSkew.Milliseconds()) }

// release tells the members that the round is over, so that they are free for
// another one. It is not waited for.
func (l *leader) release() {
	for _, w := range l.words {
		m := sweepAsk{step: stepFloor, round: l.round, era: l.era, members: l.members, removed: l.removed, told: w.standing}
		payload := m.encode()
		if w.id == l.k.Self {
			l.k.post(func() { _, _ = l.k.serveSweep(l.k.Self, payload) })
		} else {
			l.k.call(w.id, wire.TypeSweep, payload, func([]byte, error) {})
		}
	}
}
