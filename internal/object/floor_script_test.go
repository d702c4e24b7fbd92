package object

import "testing"

// TestFloorScripts are stories of floors about one key. In each the floors are
// what they say: their holders have seen what they cover.
func TestFloorScripts(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"a tombstone goes, and the old value that comes late stays away", `
			put a
			save old a
			get x a
			delete a x
			meet a b c
			floor a b c
			prune a b c
			a:
			merge a old
			a:
			prune a
			merge a old
			a:`},
		{"nor does it come through an owner that has not pruned", `
			put a
			save old a
			get x a
			delete a x
			meet a b c
			floor a b c
			prune a
			merge b old
			b: w1†
			meet a b
			a:
			b:`},
		{"an old put reaches a stand-in late: what owners let go does not come from it", `
			put a
			save old a
			get x a
			delete a x
			meet a b c
			floor a b c
			prune a b c
			merge d old
			d: w0
			merge b d
			b:
			merge d b
			d:
			merge d old
			d:`},
		{"a restored copy, which has no floor, hears what was deleted", `
			put a
			meet a b c
			save backup c
			get x a
			delete a x
			meet a b c
			floor a b c
			prune a b
			lose c
			merge c backup
			c: w0
			merge c a
			c:
			merge a c
			a:`},
		{"and it may have the value alone", `
			put a
			meet a b c
			put c
			save backup c
			meet a b c
			get x a
			put a x
			meet a b c
			floor a b
			prune a b
			lose c
			merge c backup
			c: w0 w1
			meet a c
			a: w2
			c: w2`},
		{"a value that was not deleted stays, whatever the floors", `
			put a
			meet a b c
			floor a b c
			prune a b c
			meet a b c
			a: w0
			lose c
			merge c a
			c: w0`},
		{"a value that the floor's holder has not seen comes in", `
			put a
			meet a b c
			floor a b
			prune a b
			put c
			put d
			meet a c
			merge a d
			a: w0 w1 w2`},
		{"a context of before the sweep still supersedes", `
			put a
			meet a b c
			get x a
			floor a b c
			prune a b c
			put b x
			b: w1
			meet a b
			a: w1`},
		{"a context of a pruned copy supersedes where nothing was pruned", `
			put a
			get x a
			put b x
			meet a b c
			floor a
			prune a
			get x a
			put c x
			c: w2
			meet a b c
			c: w2`},
		{"and a write with it, taken by a stand-in, wins against what comes late there", `
			put a
			save old a
			get x a
			put b x
			meet a b c
			floor a b c
			prune a b c
			get x a
			merge d old
			put d x
			d: w0 w2
			merge a d
			a: w2
			merge d a
			d: w2`},
		{"a record that was reaped starts anew, and its dots are new", `
			put a
			save old a
			get x a
			delete a x
			meet a b c
			floor a b c
			prune a b c
			put a
			merge a old
			a: w2
			merge b a
			b: w2`},
		{"an entry without a sibling goes, one with a sibling stays", `
			put a
			get x a
			put b x
			put c
			meet a b c
			entries a 3
			floor a b
			prune a
			entries a 2
			a: w1 w2
			get x a
			put c x
			a: w1 w2
			merge a c
			a: w3
			merge b a
			b: w3`},

		{"lww: a deleted value that comes late stays away", `
			lww a
			save old a
			lwwdelete a
			meet a b c
			floor a b c
			prune a b c
			a:
			merge a old
			a:
			merge d old
			d: w0
			merge d a
			d:
			merge d old
			d:`},
		{"lww: also where the delete has not been dropped", `
			lww a
			save old a
			lwwdelete a
			meet a b c
			floor a b
			prune a
			merge c old
			c: w1†
			meet a b c
			merge c old
			c: w1†`},
		{"lww: a write that is older than a dropped delete fares alike at all owners", `
			skew a 50
			lww a
			lwwdelete a
			meet a b c
			floor a b c
			prune a
			lww d
			merge a d
			a: w2
			merge b d
			b: w2
			meet a b c
			c: w2`},
		{"lww: before the sweep such a write loses", `
			skew a 50
			lww a
			lwwdelete a
			meet a b c
			lww d
			merge a d
			a: w1†`},
		{"lww: a delete that no floor covers wins against a write before it", `
			lww a
			meet a b c
			floor a b c
			prune a b c
			save old a
			lwwdelete b
			merge a b
			a: w1†
			merge a old
			a: w1†`},
		{"lww: values stay and win as ever under floors", `
			lww a
			meet a b c
			floor a b c
			prune a b c
			a: w0
			lww b
			meet a b c
			a: w1
			c: w1`},
		{"lww: also against a write that comes late and is older", `
			skew a 50
			lww a
			meet a b c
			floor a b c
			prune a b c
			lww d
			merge a d
			a: w0
			meet a d
			d: w0`},
		{"a horizon goes; the write that it held down stays away all the same", `
			lww a
			save old a
			get x a
			put a x
			meet a b c
			floor a b
			prune a
			merge a old
			a: w1
			merge c old
			c: w1
			meet a c
			c: w1`},
		{"a covered horizon holds no newer write down, but its own", `
			skew a 50
			lww a
			save old a
			get x a
			put a x
			meet a b c
			floor a b c
			prune a
			lww d
			merge b d
			b: w1 w2
			merge a d
			a: w1 w2
			merge b old
			b: w1 w2
			meet a b c
			c: w1 w2`},
	} {
		t.Run(c.name, func(t *testing.T) { runScript(t, c.script) })
	}
}

// TestFalseFloors tells what a floor costs that covers what its holder has not
// seen: each is one of the model's counterexamples (models/versions, FLOOR), and
// the reason for one step of a sweep.
func TestFalseFloors(t *testing.T) {
	for _, c := range []struct{ name, script string }{
		{"without the drain: a put that only a stand-in holds is lost", `
			put d
			floor a b c
			merge a d
			a:
			merge b d
			b:`},
		{"without the exchange: so is one that another owner alone has", `
			put a
			floor b
			meet a b
			a:
			b:`},
		{"a floor that outlives its copy: the others' value is lost", `
			put a
			meet a b c
			floor a
			save backup b
			lose a
			floor a
			merge a backup
			a:
			merge b a
			b:`},
	} {
		t.Run(c.name, func(t *testing.T) { runScript(t, c.script) })
	}
}
