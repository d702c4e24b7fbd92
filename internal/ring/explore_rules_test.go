package ring

// next calls emit for each state that may follow s. What only adds copies, or only
// refuses, is left out: seals, fills and marks beyond the evidence that they are for.
func (x *world) next(s *state, emit func(state, action)) {
	reached := x.reached(s)
	level := x.views[reached-1].Level
	for k := range x.steps {
		phase2 := level >= x.stages[k]
		if level >= x.seals[k] && (!phase2 || x.all) {
			x.seal(s, k, emit)
			x.fill(s, k, emit)
		}
		if phase2 {
			x.stage(s, k, emit)
		}
	}
	x.drop(s, reached, emit)
	x.restart(s, emit)
	if !s.acked {
		x.put(s, reached, emit)
	} else if x.p3 {
		x.get(s, reached, emit)
	}
}

// plain returns s without what can make no difference any more.
func (x *world) plain(s state) state {
	if x.all {
		return s
	}
	level := x.views[x.reached(&s)-1].Level
	for k := range x.steps {
		p := &s.steps[k]
		if level < x.stages[k] {
			break
		}
		p.done, p.held = x.news[k], 0
		if level > x.stages[k] && s.get > 0 && x.views[s.get-1].Level >= x.stages[k] {
			p.stage2, p.blind = x.olds[k], 0
		}
	}
	return s
}

// each calls f for every node of a set.
func each(s set, f func(node int, me set)) {
	for node := range exploreNodes {
		if s.has(node) {
			f(node, 1<<node)
		}
	}
}

// seal: an old owner refuses what was planned before the step.
func (x *world) seal(s *state, k int, emit func(state, action)) {
	each(x.olds[k]&^s.steps[k].sealed, func(node int, me set) {
		next := *s
		next.steps[k].sealed |= me
		next.steps[k].held |= s.holds & me
		emit(next, action{seals, uint8(k), uint8(node)})
	})
}

// fill: a new owner that can have met enough old ones is done. It takes those that
// give it the least.
func (x *world) fill(s *state, k int, emit func(state, action)) {
	p := &s.steps[k]
	sources, without := p.sealed, p.sealed&^p.held
	if x.omitted.sealedSource {
		sources, without = x.olds[k], x.olds[k]&^p.held
	}
	if sources.size() < x.steps[k].Sources {
		return
	}
	each(x.news[k]&^p.done, func(node int, me set) {
		next := *s
		next.steps[k].done |= me
		if without.size() < x.steps[k].Sources {
			next.holds |= me
		}
		emit(next, action{fills, uint8(k), uint8(node)})
	})
}

// stage: an old owner that knows phase 2 refuses gets from the old owners.
func (x *world) stage(s *state, k int, emit func(state, action)) {
	p := &s.steps[k]
	if p.stage2.size() >= x.steps[k].Stage2 && !x.all {
		return
	}
	each(x.olds[k]&^p.stage2, func(node int, me set) {
		next := *s
		next.steps[k].stage2 |= me
		emit(next, action{stages, uint8(k), uint8(node)})
	})
}

// drop: who is no owner, as far as it knows, or one that leaves, gives its copy to
// those who are to stay. They take it like a put of that level, and all of them
// must, before it drops it; and it must refuse the gets that it once answered.
func (x *world) drop(s *state, reached uint8, emit func(state, action)) {
	for at := uint8(1); at <= reached; at++ {
		v := &x.views[at-1]
		heirs, others := v.old, ^v.old
		if v.new != 0 {
			heirs, others = v.new, ^v.new
		}
		if v.readers != heirs {
			others = ^(v.old | v.new)
		}
		if heirs&x.refusePut(s, v) != 0 && !x.omitted.dropsInTime {
			continue
		}
		each(s.holds&others&^x.answering(s, v), func(node int, me set) {
			next := *s
			next.holds = next.holds&^me | heirs
			for k := range next.steps {
				p := &next.steps[k]
				if p.held &^= me; x.omitted.stagesOutlastCopy {
					p.open, p.blind = p.open|p.sealed&me, p.blind|p.stage2&me
				}
			}
			emit(next, action{drops, at - 1, uint8(node)})
		})
	}
}

// answering returns who still answers gets of steps in which they left, up to the
// one of v.
func (x *world) answering(s *state, v *scene) (nodes set) {
	for k := 0; k <= v.step && !x.omitted.dropsLate; k++ {
		nodes = (nodes | x.olds[k]&^x.news[k]) &^ s.steps[k].stage2
	}
	return nodes
}

// restart: without the rule that what is said is durable first, a node forgets its
// stages, or what it was filled with.
func (x *world) restart(s *state, emit func(state, action)) {
	for k := range x.steps {
		p := &s.steps[k]
		var open, blind set
		if x.omitted.sealLasts {
			open = p.sealed &^ p.open
		}
		if x.omitted.stage2Lasts {
			blind = p.stage2 &^ p.blind
		}
		each(open|blind, func(node int, me set) {
			next := *s
			next.steps[k].open |= me & open
			next.steps[k].blind |= me & blind
			emit(next, action{forgets, uint8(k), uint8(node)})
		})
		if x.omitted.fillLasts {
			each(p.done&s.holds&^s.acks, func(node int, me set) {
				next := *s
				next.holds &^= me
				emit(next, action{loses, uint8(k), uint8(node)})
			})
		}
	}
}

// put: an owner takes the put, under the view of before or a later one, to which
// the coordinator brings the acknowledgements that it has. They may suffice there.
func (x *world) put(s *state, reached uint8, emit func(state, action)) {
	for at := max(1, s.put); at <= reached; at++ {
		next := *s
		next.put = at
		if next = x.answered(next); next.acked {
			emit(next, action{puts, at - 1, 0})
			continue
		}
		v := &x.views[at-1]
		each((v.old|v.new)&^s.acks&^x.refusePut(s, v), func(node int, me set) {
			next := next
			next.acks |= me
			next.holds |= me
			emit(x.answered(next), action{takes, at - 1, uint8(node)})
		})
	}
}

// answered acknowledges the put if there is a quorum, and forgets who gave it.
func (x *world) answered(s state) state {
	v := &x.views[s.put-1]
	met := func(of set) bool { return (s.acks & of).size() >= min(x.params.W, of.size()) }
	if !met(v.old) || v.new != 0 && !met(v.new) {
		return s
	}
	s.acked, s.put = true, 0
	if !x.omitted.fillLasts {
		s.acks = 0
	}
	return s
}

// refusePut returns who refuses a put of a view: nodes that have sealed a step from
// a level that is higher.
func (x *world) refusePut(s *state, v *scene) (refuse set) {
	for k := range x.steps {
		below := v.Level < x.seals[k]
		if x.omitted.sealRefusesOld && v.new == 0 || x.omitted.sealRefusesJoint && v.new != 0 {
			below = false
		}
		if below {
			refuse |= s.steps[k].sealed &^ s.steps[k].open
		}
	}
	return refuse
}

// get: a reader that has nothing answers, under the view of before or a later one,
// at which the get begins again.
func (x *world) get(s *state, reached uint8, emit func(state, action)) {
	for at := max(1, s.get); at <= reached; at++ {
		next := *s
		if next.get = at; x.begins(s.get, at) {
			next.empty = 0
		}
		v := &x.views[at-1]
		each(v.readers&^s.holds&^next.empty&^x.refuseGet(s, v), func(node int, me set) {
			next := next
			next.empty |= me
			emit(next, action{answers, at - 1, uint8(node)})
		})
	}
}

// begins tells whether a get that goes from one view to another begins again.
func (x *world) begins(from, to uint8) bool {
	if x.omitted.getsBeginAgain {
		return false
	}
	if x.omitted.getsBeginAgainAt && from > 0 {
		return x.views[from-1].readers != x.views[to-1].readers
	}
	return from != to
}

// refuseGet returns who refuses a get of a view: nodes at stage 2 of a step from a
// level that is higher.
func (x *world) refuseGet(s *state, v *scene) (refuse set) {
	for k := range x.steps {
		below := v.Level < x.stages[k]
		if x.omitted.stage2Refuses || x.omitted.stage2RefusesNew && v.readers != x.olds[0] {
			below = false
		}
		if below {
			refuse |= s.steps[k].stage2 &^ s.steps[k].blind
		}
	}
	return refuse
}
