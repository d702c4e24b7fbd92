package wire

import (
	"fmt"
	"strconv"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
)

// Version is a version of the protocol: of frames, of the messages in them, and
// of what nodes may write to their disks. Each connection has the highest that
// both sides speak. Append only; docs/adr/0013-versions.md has the rule.
type Version uint16

const (
	// VersionEpochs: a frame's level field is the epoch of the sender's ring,
	// which changes only while it holds no data.
	VersionEpochs Version = 1
	// VersionLevels: the field is a kv.Level, and rings change step by step, by a
	// vote (TypeVote, TypeMarks). Clients may ask for the ring (TypeRing),
	// and a node says that it ends (TypeEnd).
	VersionLevels Version = 2
	// VersionStamps: a request's frame tells when its caller made it (Stamp).
	// Nothing is written to disk because of it.
	VersionStamps Version = 3
)

// What this source speaks: neighbours share a version.
const (
	MinVersion = VersionEpochs
	MaxVersion = VersionStamps
)

// upTo bounds the versions that a build speaks, so that tests have a program of
// the version before:
//
//	go build -ldflags "-X github.com/ringtaildb/ringtail/internal/wire.upTo=1"
var upTo string

// spoken is what this build speaks.
var spoken = bounded(upTo)

// bounded returns the versions of a build. It panics on a bound that is none:
// such a build is of no use.
func bounded(upTo string) Versions {
	v := Versions{MinVersion, MaxVersion}
	if upTo == "" {
		return v
	}
	n, err := strconv.ParseUint(upTo, 10, 16)
	if err != nil || Version(n) < MinVersion || Version(n) > MaxVersion {
		panic(fmt.Sprintf("wire: built with upTo=%q, which is not within %v", upTo, v))
	}
	v.Max = Version(n)
	return v
}

// Spoken returns the versions that this program speaks.
func Spoken() Versions { return spoken }

// Versions is a range, both ends included.
type Versions struct{ Min, Max Version }

// String reads "1 to 2", or "2".
func (v Versions) String() string {
	if v.Min == v.Max {
		return strconv.Itoa(int(v.Max))
	}
	return fmt.Sprintf("%d to %d", v.Min, v.Max)
}

// Has says whether one is in the range.
func (v Versions) Has(one Version) bool { return one >= v.Min && one <= v.Max }

// Choose returns the highest version that both sides speak, or an error of
// KindWrongVersion that names both ranges.
func (v Versions) Choose(peer Versions) (Version, error) {
	if one := min(v.Max, peer.Max); v.Has(one) && peer.Has(one) {
		return one, nil
	}
	return 0, kv.Errorf(kv.KindWrongVersion, "choose version", "the peer speaks protocol versions %v, this node %v", peer, v)
}

// Has says whether messages of a type may be sent over a connection of this
// version: the other side knows them.
func (v Version) Has(t Type) bool {
	switch t {
	case TypeVote, TypeMarks, TypeRing, TypeEnd:
		return v >= VersionLevels
	}
	return true
}

// Stamps says whether requests of this version have a stamp.
func (v Version) Stamps() bool { return v >= VersionStamps }

// Stamped returns what stands in the stamp field of a request of this version that
// was made at a time since the sender's connection began.
func (v Version) Stamped(at time.Duration) Stamp {
	if !v.Stamps() {
		return 0
	}
	return StampOf(at)
}

// Sent returns what stands in the level field of a frame of this version, for l.
func (v Version) Sent(l kv.Level) kv.Level {
	if v < VersionLevels {
		return kv.Level(l.Epoch())
	}
	return l
}

// Received returns the level for which a frame's level field stands: for an
// epoch the one at which its ring is settled.
func (v Version) Received(field kv.Level) kv.Level {
	if v < VersionLevels {
		return kv.LevelOf(min(uint64(field), kv.MaxEpoch))
	}
	return field
}
