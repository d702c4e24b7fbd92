package experiment

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Cluster is a cluster that serves.
type Cluster struct{ Nodes []Node }

// Node is one node of a Cluster.
type Node struct {
	Name string
	// HTTP and Peer are the host:port of its doors.
	HTTP, Peer string
	PID        int
}

// Peers returns the addresses for the Go client.
func (c *Cluster) Peers() []string {
	var out []string
	for _, n := range c.Nodes {
		out = append(out, n.Peer)
	}
	return out
}

const (
	// pageTimeout bounds the wait for a page of a node, maxPage its bytes.
	pageTimeout = 30 * time.Second
	maxPage     = 4 << 20
)

// Metrics are the samples of /metrics, by name with labels, as they stand there.
type Metrics map[string]float64

// Metrics returns a node's own.
func (n Node) Metrics(ctx context.Context) (Metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+n.HTTP+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its metrics: %w", n.Name, err)
	}
	defer resp.Body.Close()
	return parseMetrics(io.LimitReader(resp.Body, maxPage))
}

// parseMetrics reads Prometheus's text format.
func parseMetrics(r io.Reader) (Metrics, error) {
	out := Metrics{}
	s := bufio.NewScanner(r)
	for s.Scan() {
		line := s.Text()
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		v, err := strconv.ParseFloat(line[at+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("read metrics: %q is no sample", line)
		}
		out[line[:at]] = v
	}
	return out, s.Err()
}

// Sum adds up a sample of all nodes.
func (c *Cluster) Sum(ctx context.Context, sample string) (float64, error) {
	sum := 0.0
	for _, n := range c.Nodes {
		m, err := n.Metrics(ctx)
		if err != nil {
			return 0, err
		}
		sum += m[sample]
	}
	return sum, nil
}

// Total adds up all samples of a name, whatever their labels, of all nodes but one.
func (c *Cluster) Total(ctx context.Context, name string, but Node) (float64, error) {
	sum := 0.0
	for _, n := range c.Nodes {
		if n == but {
			continue
		}
		m, err := n.Metrics(ctx)
		if err != nil {
			return 0, err
		}
		for sample, v := range m {
			if of, _, _ := strings.Cut(sample, "{"); of == name {
				sum += v
			}
		}
	}
	return sum, nil
}

// CPU returns the processor time that all nodes have used.
func (c *Cluster) CPU(ctx context.Context) (time.Duration, error) {
	seconds, err := c.Sum(ctx, "ringtail_cpu_seconds_total")
	return time.Duration(seconds * float64(time.Second)), err
}

// Bucket is the one that experiments use. It keeps the last write of a key, so
// that puts need no context.
const Bucket = "lab"

// Prepare makes Bucket, with properties beyond that, such as dw.
func (c *Cluster) Prepare(ctx context.Context, props map[string]any) error {
	all := map[string]any{"merge": "lww"}
	maps.Copy(all, props)
	body, err := json.Marshal(map[string]any{"props": all})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, pageTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://"+c.Nodes[0].HTTP+"/buckets/"+Bucket+"/props", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("make bucket %s: %w", Bucket, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		told, _ := io.ReadAll(io.LimitReader(resp.Body, 1000))
		return fmt.Errorf("make bucket %s: %s: %s", Bucket, resp.Status, told)
	}
	return nil
}
