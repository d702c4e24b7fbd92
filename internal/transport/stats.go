package transport

import "sync/atomic"

// Traffic counts what passed over the connections of a Server, a Pool or a
// Conn since it was made, ended connections included.
type Traffic struct {
	// Frames and bytes, both ways; handshakes are not counted.
	FramesIn, FramesOut, BytesIn, BytesOut uint64
	// Reads and Flushes are the reads and writes that carried them: frames per
	// flush is how well writes coalesce.
	Reads, Flushes uint64
}

// counters is Traffic as it is counted: touched once for each read and write of
// a socket, not for each frame.
type counters struct {
	framesIn, framesOut, bytesIn, bytesOut, reads, flushes atomic.Uint64
}

func (c *counters) traffic() Traffic {
	return Traffic{
		FramesIn: c.framesIn.Load(), FramesOut: c.framesOut.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Reads: c.reads.Load(), Flushes: c.flushes.Load(),
	}
}

// outcomes counts how calls ended that did not end with an answer.
type outcomes struct {
	timeouts, lost, overloaded, late atomic.Uint64
}

// meters are where a Conn counts: its own, or its Pool's and its peer's.
type meters struct {
	*counters
	*outcomes
	*latency
}
