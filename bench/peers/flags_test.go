package main

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/bench/peers/internal/store"
)

func TestDefaults(t *testing.T) {
	o, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.Callers != 64 || o.Keys != 100_000 || o.ValueBytes != 1024 || o.Rounds != 3 || o.Duration != 5*time.Second ||
		o.firstPort != 21000 || o.lastPort != 21999 || len(o.engines) != 0 || !slices.Equal(o.stores, otherStores) {
		t.Errorf("got %+v", o)
	}
	o.engines = []string{"pebble"}
	contests, err := o.plan()
	if err != nil || len(contests) != 5 {
		t.Errorf("%d contests, %v", len(contests), err)
	}
}

func TestFlags(t *testing.T) {
	o, err := parse([]string{"-engines", "pebble, memory", "-stores", "", "-contests", "get,put-durable", "-ports", "3000-3100", "-conns", "2"}, io.Discard)
	if err != nil || !slices.Equal(o.engines, []string{"pebble", "memory"}) || len(o.stores) != 0 || o.firstPort != 3000 || o.lastPort != 3100 {
		t.Fatalf("got %+v, %v", o, err)
	}
	contests, err := o.plan()
	if err != nil || len(contests) != 2 || contests[0].ID != "put-durable" || contests[1].ID != "get" {
		t.Errorf("got %+v, %v", contests, err)
	}
	all := []store.Store{store.NewRingtail(store.Env{}, store.Program{}, "pebble"), store.NewEtcd(store.Env{}, store.Program{})}
	if got := used(all, contests); len(got) != 1 || got[0].Name() != "ringtail-pebble" {
		t.Errorf("%d stores are used", len(got))
	}
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{
		{"-stores", "mongo"}, {"-stores", "redis,redis"}, {"-engines", "paper"}, {"-ports", "3000"}, {"-ports", "a-b"},
		{"-rounds", "0"}, {"-dist", "normal"}, {"-conns", "-1"}, {"-conns", "65"}, {"more"}, {"-what"}, {"-callers", "0"},
	} {
		if o, err := parse(args, io.Discard); err == nil {
			t.Errorf("%q gives %+v", args, o)
		}
	}
	o, err := parse([]string{"-contests", "chess"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.plan(); err == nil {
		t.Error("a contest that is none is planned")
	}
}

func TestEnginesThatAreChosen(t *testing.T) {
	for help, want := range map[string][]string{
		"pebble or memory": {"memory", "pebble"}, "logstore, pebble or memory": {"logstore", "pebble"},
	} {
		var o options
		if o.chooseEngines(store.Program{Help: help}); !slices.Equal(o.engines, want) {
			t.Errorf("%s: got %v", help, o.engines)
		}
		o.engines = []string{"memory"}
		if o.chooseEngines(store.Program{Help: help}); !slices.Equal(o.engines, []string{"memory"}) {
			t.Errorf("what was asked for became %v", o.engines)
		}
	}
}
