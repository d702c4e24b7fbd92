package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestGiveWord(t *testing.T) {
	const lasts = 10 * time.Second
	const ok = kv.NumKinds
	start := time.Unix(1000, 0)
	mine := proposal{epoch: 5, ring: hash{1}, proposer: 1, token: 11}
	other := proposal{epoch: 5, ring: hash{2}, proposer: 2, token: 22}
	again := mine
	again.token++
	given := vouch{proposal: mine, until: start.Add(lasts)}
	for _, c := range []struct {
		name  string
		word  vouch
		after time.Duration
		epoch uint64
		p     proposal
		want  kv.Kind
	}{
		{"first", vouch{}, 0, 4, mine, ok},
		{"the same again", given, time.Second, 4, mine, ok},
		{"another's while the word stands", given, lasts - 1, 4, other, kv.KindRefused},
		{"another try of the same node while the word stands", given, time.Second, 4, again, kv.KindRefused},
		{"another's once the word has lapsed", given, lasts, 4, other, ok},
		{"the epoch is there already", vouch{}, 0, 5, mine, kv.KindStaleRing},
		{"an epoch is missing", vouch{}, 0, 3, mine, kv.KindStaleRing},
	} {
		now := start.Add(c.after)
		got, err := c.word.give(now, lasts, c.epoch, c.p)
		if c.want != ok {
			if kv.KindOf(err) != c.want || err == nil || got != c.word {
				t.Errorf("%s: got %v, want %v", c.name, err, c.want)
			}
			continue
		}
		if want := (vouch{proposal: c.p, until: now.Add(lasts)}); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", c.name, got, err)
		}
	}
}

// A voter's calls of its hooks, in order.
func TestVoter(t *testing.T) {
	var calls []string
	empty, fails := true, error(nil)
	v := newVoter(Hooks{
		Freeze: func(e uint64, _ time.Time) { calls = append(calls, fmt.Sprint("freeze ", e)) },
		Thaw:   func(e uint64) { calls = append(calls, fmt.Sprint("thaw ", e)) },
		Empty:  func() (bool, error) { calls = append(calls, "empty?"); return empty, fails },
	}, Config{Name: "n2", FreezeFor: time.Second})
	now := time.Unix(1000, 0)
	p := proposal{epoch: 2, proposer: 1, token: 1}
	q := proposal{epoch: 2, proposer: 3, token: 9}
	ask := func(p proposal) error {
		return v.vouch(context.Background(), now, func() uint64 { return 1 }, p)
	}
	expect := func(what string, want ...string) {
		t.Helper()
		if !slices.Equal(calls, want) {
			t.Errorf("%s: got %q, want %q", what, calls, want)
		}
		calls = nil
	}

	empty = false
	if err := ask(p); kv.KindOf(err) != kv.KindRefused || !strings.Contains(err.Error(), "node n2 holds data: moving data comes with a later release") {
		t.Errorf("with data: got %v", err)
	}
	expect("with data", "freeze 2", "empty?", "thaw 2")

	empty, fails = true, errors.New("disk")
	if err := ask(p); kv.KindOf(err) != kv.KindStorage {
		t.Errorf("with a broken disk: got %v", err)
	}
	expect("with a broken disk", "freeze 2", "empty?", "thaw 2")

	fails = nil
	if err := ask(p); err != nil {
		t.Errorf("empty: %v", err)
	}
	expect("empty", "freeze 2", "empty?")
	if err := ask(q); kv.KindOf(err) != kv.KindRefused {
		t.Errorf("a second proposal: got %v, want refused", err)
	}
	v.release(q)
	expect("a second proposal, refused and released")
	v.release(p)
	expect("released", "thaw 2")
	if err := ask(q); err != nil {
		t.Errorf("after the release: %v", err)
	}
	v.adopted(2)
	expect("adopted", "freeze 2", "empty?", "thaw 2")
	v.adopted(2)
	v.release(q)
	expect("adopted and released again")
}

func TestVoterWithoutHooksRefuses(t *testing.T) {
	v := newVoter(Hooks{}, Config{Name: "n2", FreezeFor: time.Second})
	err := v.vouch(context.Background(), time.Unix(1, 0), func() uint64 { return 1 }, proposal{epoch: 2, proposer: 1})
	if kv.KindOf(err) != kv.KindRefused {
		t.Errorf("got %v, want refused", err)
	}
}
