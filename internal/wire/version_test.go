package wire

import (
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestChoose(t *testing.T) {
	tests := []struct {
		own, peer Versions
		want      Version // 0 for an error
	}{
		{Versions{1, 1}, Versions{1, 1}, 1},
		{Versions{1, 2}, Versions{1, 1}, 1},
		{Versions{1, 1}, Versions{1, 2}, 1},
		{Versions{1, 2}, Versions{1, 2}, 2},
		{Versions{1, 2}, Versions{2, 7}, 2},
		{Versions{1, 3}, Versions{1, 2}, 2},
		{Versions{1, 3}, Versions{2, 3}, 3},
		{Versions{2, 2}, Versions{1, 2}, 2},
		{Versions{2, 2}, Versions{1, 1}, 0},
		{Versions{1, 1}, Versions{2, 2}, 0},
		{Versions{1, 2}, Versions{3, 4}, 0},
		{Versions{1, 2}, Versions{0, 0}, 0},
	}
	for _, test := range tests {
		got, err := test.own.Choose(test.peer)
		if got != test.want || (err == nil) != (test.want != 0) {
			t.Errorf("%v and %v: %d, %v, want %d", test.own, test.peer, got, err, test.want)
		}
		if test.want == 0 {
			wantKind(t, "no version in common", err, kv.KindWrongVersion)
		}
	}
}

func TestBuildsOfOneVersion(t *testing.T) {
	for upTo, want := range map[string]Versions{"": {MinVersion, MaxVersion}, "1": {1, 1}, "2": {1, 2}, "3": {1, 3}} {
		if got := bounded(upTo); got != want {
			t.Errorf("built up to %q: %v, want %v", upTo, got, want)
		}
	}
	for _, bad := range []string{"0", "4", "-1", "x", " 1", "65537"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("a build up to %q is taken", bad)
				}
			}()
			bounded(bad)
		}()
	}
}

// An epoch travels as such before version 2, and stands for its settled ring.
func TestLevelsOfVersions(t *testing.T) {
	settled, within := kv.LevelOf(7), kv.LevelOf(7).At(2, 3)
	tests := []struct {
		v               Version
		l, sent, reread kv.Level
	}{
		{VersionEpochs, 0, 0, 0},
		{VersionEpochs, settled, 7, settled},
		{VersionEpochs, within, 7, settled},
		{VersionEpochs, kv.LevelOf(kv.MaxEpoch), kv.MaxEpoch, kv.LevelOf(kv.MaxEpoch)},
		{VersionLevels, 0, 0, 0},
		{VersionLevels, settled, settled, settled},
		{VersionLevels, within, within, within},
		{VersionStamps, within, within, within},
	}
	for _, test := range tests {
		sent := test.v.Sent(test.l)
		if got := test.v.Received(sent); sent != test.sent || got != test.reread {
			t.Errorf("version %d: %v travels as %d and comes as %v, want %d and %v", test.v, test.l, sent, got, test.sent, test.reread)
		}
	}
	if got, want := VersionEpochs.Received(^kv.Level(0)), kv.LevelOf(kv.MaxEpoch); got != want {
		t.Errorf("an epoch past the last is %v, want %v", got, want)
	}
}

// Requests tell when they were made from version 3 on, modulo 65.536 s.
func TestStamps(t *testing.T) {
	const turn = 1 << 16 * time.Millisecond
	for _, test := range []struct {
		v    Version
		at   time.Duration
		want Stamp
	}{
		{VersionEpochs, time.Second, 0},
		{VersionLevels, time.Second, 0},
		{VersionStamps, 0, 0},
		{VersionStamps, time.Second + time.Millisecond - 1, 1000},
		{VersionStamps, turn - 1, 1<<16 - 1},
		{VersionStamps, turn, 0},
		{VersionStamps, 1000*turn + 5*time.Millisecond, 5},
	} {
		if got := test.v.Stamped(test.at); got != test.want {
			t.Errorf("version %d stamps %v with %d, want %d", test.v, test.at, got, test.want)
		}
	}
	for _, test := range []struct {
		s, t Stamp
		want int
	}{
		{5, 5, 0}, {6, 5, 1}, {5, 6, -1}, {3, 1<<16 - 2, 5}, {1<<16 - 2, 3, -5}, {1<<15 - 1, 0, 1<<15 - 1}, {1 << 15, 0, -1 << 15},
	} {
		if got := test.s.Since(test.t); got != time.Duration(test.want)*time.Millisecond {
			t.Errorf("%d is %v after %d, want %d ms", test.s, got, test.t, test.want)
		}
	}
}

func TestTypesOfVersions(t *testing.T) {
	for ty := range Type(NumTypes) {
		later := ty == TypeVote || ty == TypeMarks || ty == TypeRing || ty == TypeEnd
		if VersionEpochs.Has(ty) == later || !VersionLevels.Has(ty) {
			t.Errorf("%v: version 1 has it: %v, version 2: %v", ty, VersionEpochs.Has(ty), VersionLevels.Has(ty))
		}
	}
}
