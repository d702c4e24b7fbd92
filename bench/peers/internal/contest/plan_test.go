package contest

import (
	"slices"
	"strings"
	"testing"
)

var allOthers = map[string]bool{"redis": true, "nats": true, "etcd": true}

func TestPlanComparesLikeWithLike(t *testing.T) {
	for _, c := range Plan([]string{"memory", "pebble"}, allOthers, true) {
		for _, row := range c.Rows {
			durable := strings.HasSuffix(row.Store, "-durable") || row.Store == "etcd" ||
				strings.HasPrefix(row.Store, "ringtail-") && row.View == "durable"
			if want := strings.HasSuffix(c.ID, "-durable"); durable != want && c.ID != "get" {
				t.Errorf("%s has %+v", c.ID, row)
			}
			if row.Store == "ringtail-memory" && durable {
				t.Errorf("%s has an engine that keeps nothing", c.ID)
			}
			if row.Label == "" || row.Acked == "" || row.View == "" || row.Ours != strings.HasPrefix(row.Store, "ringtail-") {
				t.Errorf("%s: %+v", c.ID, row)
			}
		}
		labels := map[string]bool{}
		for _, row := range c.Rows {
			if labels[row.Label] {
				t.Errorf("%s has %s twice", c.ID, row.Label)
			}
			labels[row.Label] = true
		}
	}
}

func TestPlanLeavesOut(t *testing.T) {
	for _, c := range Plan([]string{"pebble"}, map[string]bool{"nats": true}, true) {
		for _, row := range c.Rows {
			if !strings.HasPrefix(row.Store, "ringtail-pebble") && !strings.HasPrefix(row.Store, "nats-") {
				t.Errorf("%s has %s", c.ID, row.Store)
			}
		}
	}
}

func TestEveryRowIsFirstInTurn(t *testing.T) {
	rows := make([]Row, 3)
	for round, want := range [][]int{{0, 1, 2}, {1, 2, 0}, {2, 0, 1}, {0, 1, 2}} {
		if got := rotated(rows, round); !slices.Equal(got, want) {
			t.Errorf("round %d: %v", round, got)
		}
	}
	if got := rotated(nil, 1); len(got) != 0 {
		t.Errorf("of none: %v", got)
	}
}
