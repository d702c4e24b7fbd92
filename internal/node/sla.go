package node

import "time"

// tellVerdicts logs which objectives came to be missed, and which are met again.
func (n *Node) tellVerdicts(now time.Time) {
	for _, v := range n.metrics.Judge(now) {
		with := []any{
			"objective", v.Promise, "requests", v.Last.Count, "breaches", v.Last.Failed, "p99.9_ms", v.Last.P999,
		}
		if v.Bucket != "" {
			with = append(with, "bucket", v.Bucket)
		}
		if v.Met {
			n.log.Info("the SLA is met again", with...)
			continue
		}
		n.log.Warn("the SLA was missed in the last minute", append(with, "stage", v.Stage)...)
	}
}
