package resp

import (
	"github.com/ringtaildb/ringtail/internal/kv"
)

// prefixes gives the code with which the error of each kind begins. Clients try
// again by themselves after CLUSTERDOWN and TRYAGAIN, and some after LOADING; so
// these stand only for what certainly was not applied (see errorText).
var prefixes = [kv.NumKinds]string{
	kv.KindUnavailable:  "CLUSTERDOWN",
	kv.KindOverloaded:   "TRYAGAIN",
	kv.KindStaleRing:    "TRYAGAIN",
	kv.KindDiskFull:     "OOM",
	kv.KindHintsFull:    "TRYAGAIN",
	kv.KindWrongVersion: "TRYAGAIN",
}

// errorText returns err as it is told: code, text, kind, and for a write whether
// it may have been applied.
func errorText(err error, write bool) string {
	kind, applied := kv.KindOf(err), kv.AppliedNo
	if write {
		applied = kv.AppliedOf(err)
	}
	code := "ERR"
	if kind < kv.NumKinds && prefixes[kind] != "" && applied == kv.AppliedNo {
		code = prefixes[kind]
	}
	return code + " " + err.Error() + " (kind: " + kind.String() + ", applied: " + applied.String() + ")"
}
