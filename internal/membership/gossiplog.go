package membership

import (
	"bytes"
	"io"
	"log"
	"log/slog"
)

// newGossipLog returns the logger that memberlist writes to. Its errors are
// warnings here, at most one line in sparsePause: each probe of a node that is
// down has one. All else is for debugging; a node that comes or goes is told by
// the Service.
func newGossipLog(to *slog.Logger) *log.Logger {
	return log.New(&gossipLog{log: to, errors: sparse{log: to}}, "", 0)
}

// gossipLog takes lines such as "[ERR] memberlist: Failed to send gossip".
type gossipLog struct {
	log    *slog.Logger
	errors sparse
}

var _ io.Writer = (*gossipLog)(nil)

// Write implements io.Writer.
func (g *gossipLog) Write(line []byte) (int, error) {
	level, text := splitLevel(line)
	if level == "ERR" {
		g.errors.warn("gossip", "error", text)
	} else {
		g.log.Debug("gossip", "text", text)
	}
	return len(line), nil
}

// splitLevel splits "[LEVEL] memberlist: text".
func splitLevel(line []byte) (level, text string) {
	line = bytes.TrimSpace(line)
	if rest, ok := bytes.CutPrefix(line, []byte("[")); ok {
		if l, t, ok := bytes.Cut(rest, []byte("] ")); ok {
			level, line = string(l), t
		}
	}
	return level, string(bytes.TrimPrefix(line, []byte("memberlist: ")))
}
