package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/kv"
)

const (
	// pollEvery is the pause between two looks at the nodes.
	pollEvery = 100 * time.Millisecond
	// tellEvery is how often a person who waits is told what for.
	tellEvery = 10 * time.Second
	// pollTimeout bounds one look at one node.
	pollTimeout = 2 * time.Second
)

// gathering makes one ring of nodes that have been started.
type gathering struct {
	nodes []devNode
	// doors reach them, in the same order.
	doors []door
	// news takes what is waited for, when that takes long.
	news chan<- string
}

func newGathering(nodes []devNode, news chan<- string) gathering {
	g := gathering{nodes: nodes, news: news}
	for _, n := range nodes {
		g.doors = append(g.doors, newDoor(n.http))
	}
	return g
}

// run returns nil once all nodes serve.
func (g gathering) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{g.joined, g.committed, g.serving} {
		if err := g.until(ctx, step); err != nil {
			return err
		}
	}
	return nil
}

// notYet is an error that time may heal.
type notYet struct{ error }

// until takes a step again and again, as long as its error is notYet.
func (g gathering) until(ctx context.Context, step func(context.Context) error) error {
	poll, tell := time.NewTicker(pollEvery), time.NewTicker(tellEvery)
	defer poll.Stop()
	defer tell.Stop()
	for {
		err := step(ctx)
		if _, again := errors.AsType[notYet](err); !again {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tell.C:
			select {
			case g.news <- fmt.Sprintf("still waiting: %v", err):
			case <-ctx.Done():
				return ctx.Err()
			}
		case <-poll.C:
		}
	}
}

// joined is the step that ends when the first node lists all others.
func (g gathering) joined(ctx context.Context) error {
	statuses, _, err := g.statuses(ctx)
	if err != nil {
		return err
	}
	var missing []string
	for _, n := range g.nodes {
		if s := statuses[n.name]; s != "staged" && s != "member" && s != "joining" {
			missing = append(missing, n.name)
		}
	}
	if len(missing) > 0 {
		return notYet{fmt.Errorf("%s does not list %s", g.nodes[0].name, strings.Join(missing, ", "))}
	}
	return nil
}

// committed is the step that takes into the ring those that are not in it. A
// change that is under way goes first.
func (g gathering) committed(ctx context.Context) error {
	statuses, changing, err := g.statuses(ctx)
	if err != nil {
		return err
	}
	var staged []string
	for _, n := range g.nodes {
		if statuses[n.name] == "staged" {
			staged = append(staged, n.name)
		}
	}
	if len(staged) == 0 {
		return nil
	}
	_, err = g.doors[0].ask(ctx, question{method: http.MethodPost, path: "/cluster/commit", timeout: pageTimeout})
	if err == nil {
		return notYet{errors.New("the commit spreads")}
	}
	if told, ok := errors.AsType[*answerError](err); ok {
		switch told.kind {
		case kv.KindUnavailable, kv.KindTimeout, kv.KindStaleRing:
			return notYet{err}
		case kv.KindRefused:
			if changing {
				return notYet{err}
			}
		}
	}
	return fmt.Errorf("take %s into the ring: %w", strings.Join(staged, ", "), err)
}

// statuses returns what the first node knows of each, by name, and whether the
// ring is being changed.
func (g gathering) statuses(ctx context.Context) (statuses map[string]string, changing bool, err error) {
	var view httpapi.ClusterView
	q := question{method: http.MethodGet, path: "/cluster", timeout: pollTimeout}
	if err := g.doors[0].page(ctx, q, &view); err != nil {
		return nil, false, notYet{err}
	}
	statuses = make(map[string]string)
	for _, m := range view.Members {
		// A name may also be that of a node that is gone for good.
		if statuses[m.Name] != "member" {
			statuses[m.Name] = m.Status
		}
	}
	return statuses, view.Transition != nil, nil
}

// serving is the step that ends when each node says that it is ready.
func (g gathering) serving(ctx context.Context) error {
	for i, n := range g.nodes {
		q := question{method: http.MethodGet, path: "/readyz", timeout: pollTimeout}
		if _, err := g.doors[i].ask(ctx, q); err != nil {
			return notYet{fmt.Errorf("%s is not ready: %w", n.name, err)}
		}
	}
	return nil
}
