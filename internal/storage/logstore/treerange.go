package logstore

import "bytes"

// walk calls fn for each key from `from` on, in order, until fn returns false.
// The key is valid until fn returns. Nobody may change the tree meanwhile.
func (t *tree) walk(from []byte, fn func(key []byte, l *loc) bool) {
	if len(t.branches) == 0 {
		return
	}
	i := t.child(from)
	j := t.branches[i].child(from)
	at, _ := t.branches[i].leaves[j].find(from)
	for ; i < len(t.branches); i++ {
		for b := t.branches[i]; j < len(b.leaves); j++ {
			for l := b.leaves[j]; at < int(l.n); at++ {
				if !fn(l.key(at), &l.locs[at]) {
					return
				}
			}
			at = 0
		}
		j = 0
	}
}

// removeRange takes the keys in [from, to) out, to the end with a nil to, for
// which which returns true, and calls gone for each. A nil which is all.
func (t *tree) removeRange(from, to []byte, which func(l *loc) bool, gone func(l *loc)) {
	for len(t.branches) > 0 {
		i := t.child(from)
		j := t.branches[i].child(from)
		l := t.branches[i].leaves[j]
		at, _ := l.find(from)
		if at == int(l.n) { // the range begins behind this leaf
			if j++; j == len(t.branches[i].leaves) {
				i, j = i+1, 0
			}
			if i == len(t.branches) {
				return
			}
			l, at = t.branches[i].leaves[j], 0
		}
		for ; at < int(l.n); at++ {
			if to != nil && bytes.Compare(l.key(at), to) >= 0 {
				return
			}
			if which == nil || which(&l.locs[at]) {
				break
			}
		}
		if at == int(l.n) {
			from = append(bytes.Clone(l.key(at-1)), 0)
			continue
		}
		end := at
		for end < int(l.n) && (to == nil || bytes.Compare(l.key(end), to) < 0) && (which == nil || which(&l.locs[end])) {
			gone(&l.locs[end])
			end++
		}
		last := end == int(l.n)
		from = append(bytes.Clone(l.key(end-1)), 0)
		b, l := t.own(i, j)
		t.bytes -= l.cut(at, end)
		t.keys -= end - at
		t.fix(i, j, b, l)
		if !last && which == nil {
			return
		}
	}
}
