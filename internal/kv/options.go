package kv

import "time"

// Unset stands in Options for "the bucket's default".
const Unset = -1

// Options are the consistency options of one request (§4.5). Unset (-1) takes
// the bucket's default.
type Options struct {
	// R is the number of replicas whose answers a get waits for, 1 to N.
	R int8
	// W is the number of replicas that must have applied a put, 1 to N.
	W int8
	// DW is the number of replicas that must have put a write on stable
	// storage, 0 to N; 0 is the paper's write buffering (§6.1). Unset means W.
	DW int8
	// Strict lets only owners of the key count, never stand-ins.
	Strict bool
	// ReturnBody asks a put for all siblings and their context.
	ReturnBody bool
	// NoContext tells that nobody asks for the answer's context, which then may be
	// left out. It does not travel between nodes.
	NoContext bool
	// Timeout bounds the request, MinTimeout to MaxTimeout; 0 means
	// DefaultTimeout.
	Timeout time.Duration
}

// Bounds of Options.Timeout.
const (
	MinTimeout     = time.Millisecond
	DefaultTimeout = 2 * time.Second
	MaxTimeout     = 60 * time.Second
)

// Defaults returns Options that leave every choice to the bucket.
func Defaults() Options { return Options{R: Unset, W: Unset, DW: Unset} }

// Resolve fills what o leaves unset from the bucket's r, w and dw, checks the
// result against the cluster's n, and returns an error of KindInvalid that
// names the option for a value outside its range.
func (o Options) Resolve(n int, bucket Quorums) (Options, error) {
	if o.R == Unset {
		o.R = bucket.R
	}
	if o.W == Unset {
		o.W = bucket.W
	}
	if o.DW == Unset {
		o.DW = bucket.DW
	}
	if o.DW == Unset {
		o.DW = o.W
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return o, o.Validate(n)
}

// Validate returns an error of KindInvalid that names the first option outside
// its range; Unset options and a zero Timeout are within it.
func (o Options) Validate(n int) error {
	switch {
	case o.R != Unset && (o.R < 1 || int(o.R) > n):
		return Errorf(KindInvalid, "check options", "r=%d is not within 1 to N=%d", o.R, n)
	case o.W != Unset && (o.W < 1 || int(o.W) > n):
		return Errorf(KindInvalid, "check options", "w=%d is not within 1 to N=%d", o.W, n)
	case o.DW != Unset && (o.DW < 0 || int(o.DW) > n):
		return Errorf(KindInvalid, "check options", "dw=%d is not within 0 to N=%d", o.DW, n)
	case o.Timeout != 0 && (o.Timeout < MinTimeout || o.Timeout > MaxTimeout):
		return Errorf(KindInvalid, "check options", "timeout=%v is not within %v to %v", o.Timeout, MinTimeout, MaxTimeout)
	}
	return nil
}

// Quorums are a bucket's defaults for R, W and DW. DW may be Unset: the
// request's w.
type Quorums struct {
	R  int8 `json:"r"`
	W  int8 `json:"w"`
	DW int8 `json:"dw"`
}

// Props are a bucket's properties. They live in the gossiped cluster state.
type Props struct {
	Quorums
	Merge Merge
	// TTL is that of values which are put without one of their own, 0 for none.
	TTL TTL
	// SLA is the bucket's own, without the objectives for which it is held to the
	// cluster's.
	SLA SLA
	// Meta is what doors keep beside the rest, up to MaxPropsMeta bytes of which
	// the store knows nothing.
	Meta string
}
