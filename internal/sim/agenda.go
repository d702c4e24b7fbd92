package sim

import "time"

// event is something that will happen at a moment of virtual time.
type event struct {
	at    time.Duration
	order uint64
	// cause is the client's request on whose behalf it happens, if any.
	cause *Op
	run   func()
}

func (e *event) before(o *event) bool {
	return e.at < o.at || e.at == o.at && e.order < o.order
}

// agenda is a binary heap of events, the next first. Those of one moment come
// in the order in which they were added.
type agenda []event

func (a *agenda) add(e event) {
	h := append(*a, e)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
	*a = h
}

// next takes the first event out; there is one.
func (a *agenda) next() event {
	h := *a
	first, last := h[0], len(h)-1
	h[0], h[last] = h[last], event{}
	h = h[:last]
	for i := 0; ; {
		least := i
		for _, child := range [2]int{2*i + 1, 2*i + 2} {
			if child < len(h) && h[child].before(&h[least]) {
				least = child
			}
		}
		if least == i {
			break
		}
		h[i], h[least] = h[least], h[i]
		i = least
	}
	*a = h
	return first
}
