package bench

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/ringtaildb/ringtail/client"
	"github.com/ringtaildb/ringtail/internal/kv"
)

// role is the variable that has this test's program be a process of a load.
const role = "RINGTAIL_BENCH_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "part":
		if err := Part(context.Background(), os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
	case "broken":
		_, _ = io.Copy(io.Discard, io.LimitReader(os.Stdin, 1))
		_, _ = os.Stderr.WriteString("it broke")
	case "babbling":
		_, _ = os.Stdout.WriteString("ready\n")
		_, _ = io.Copy(io.Discard, os.Stdin)
	default:
		os.Exit(m.Run())
	}
}

// as returns what starts this test's program in a role.
func as(r string) func() (*exec.Cmd, error) {
	return func() (*exec.Cmd, error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), role+"="+r)
		return cmd, nil
	}
}

// processLoad is a short load of three processes.
func processLoad(addrs ...string) Config {
	cfg := Default()
	cfg.Addrs, cfg.Keys, cfg.Concurrency, cfg.Processes = addrs, 100, 7, 3
	cfg.WarmUp, cfg.Duration, cfg.Interval = 100*time.Millisecond, 500*time.Millisecond, 100*time.Millisecond
	return cfg
}

func TestProcesses(t *testing.T) {
	for _, rate := range []float64{0, 300} {
		cfg := processLoad(serveIdle(t))
		cfg.Rate = rate
		cfg.CPU = meterFunc(func() (time.Duration, error) { return time.Second, nil })
		r, err := RunProcesses(t.Context(), cfg, as("part"), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		var ops int64
		for _, step := range r.Timeline {
			ops += step.Ops
		}
		if r.Ops == 0 || ops != r.Ops || len(r.Timeline) < 5 || r.Processes != 3 || len(r.Errors) > 0 || r.OwnCPU <= 0 || r.ClusterCPUNote != "" {
			t.Errorf("%+v", r)
		}
		if rate > 0 && r.Open.Due != 150 {
			t.Errorf("%+v, want 150 operations due in half a second", r.Open)
		}
	}
}

// Each process tells of its errors, and the others end.
func TestProcessesThatFail(t *testing.T) {
	cfg := processLoad("127.0.0.1:1")
	_, err := RunProcesses(t.Context(), cfg, as("part"), io.Discard)
	var told *client.Error
	if !errors.As(err, &told) || told.Kind != client.KindUnavailable || !strings.Contains(err.Error(), "process ") {
		t.Errorf("with nobody there: %v", err)
	}
	cfg = processLoad(serveIdle(t))
	cfg.Timeout = -1
	if _, err := RunProcesses(t.Context(), cfg, as("part"), io.Discard); !errors.As(err, &told) || told.Kind != client.KindInvalid {
		t.Errorf("with a timeout below 0: %v", err)
	}
	cfg = processLoad(serveIdle(t))
	for r, want := range map[string]string{"broken": "it complained:\nit broke", "babbling": `it says "ready"`} {
		if _, err := RunProcesses(t.Context(), cfg, as(r), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", r, err)
		}
	}
	missing := func() (*exec.Cmd, error) { return exec.Command("/nothing/is/here"), nil }
	if _, err := RunProcesses(t.Context(), cfg, missing, io.Discard); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a program: %v", err)
	}
	if _, err := RunProcesses(t.Context(), cfg, func() (*exec.Cmd, error) { return nil, errTest }, io.Discard); !errors.Is(err, errTest) {
		t.Errorf("without a command: %v", err)
	}
	cfg.Processes = MaxProcesses + 1
	if _, err := RunProcesses(t.Context(), cfg, as("part"), io.Discard); kv.KindOf(err) != kv.KindInvalid {
		t.Errorf("of too many: %v", err)
	}
}

// Processes that are ended early tell what they did until then.
func TestProcessesInterrupted(t *testing.T) {
	cfg := processLoad(serveIdle(t))
	cfg.Duration, cfg.Interval = time.Hour, 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	measuring := writerFunc(func(b []byte) {
		if bytes.HasPrefix(b, []byte("measure")) {
			cancel()
		}
	})
	r, err := RunProcesses(ctx, cfg, as("part"), measuring)
	if err != nil || !r.Interrupted || r.Ops == 0 {
		t.Errorf("%v, %+v", err, r)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := RunProcesses(ended, cfg, as("part"), io.Discard); kv.KindOf(err) != kv.KindTimeout {
		t.Errorf("interrupted before it began: %v", err)
	}
}

// writerFunc is a function as a writer.
type writerFunc func(b []byte)

func (f writerFunc) Write(b []byte) (int, error) {
	f(b)
	return len(b), nil
}

func TestPartRefuses(t *testing.T) {
	for in, want := range map[string]string{"": "no more", "x\n": "invalid character", "{}\n": "no address"} {
		var out bytes.Buffer
		if err := Part(t.Context(), strings.NewReader(in), &out); err != nil || !strings.Contains(out.String(), want) || !strings.Contains(out.String(), `"Kind":"invalid"`) {
			t.Errorf("%q: %q, %v; want %q", in, out.String(), err, want)
		}
	}
}

func FuzzStretch(f *testing.F) {
	h := encode(recorded(5, 0, 1, 2).latencies[read])
	f.Add(h, 3)
	f.Add("HISTFAAAAB542pNpmSzMwMDAxQABzFCaEUoz2X+AMIKZAEARAtM=", 101)
	f.Fuzz(func(t *testing.T, histogram string, versions int) {
		s := stretch{Behind: "", Versions: make([]uint64, min(max(versions, 0), 200))}
		s.Latencies[read], s.Services[update] = histogram, histogram
		w, err := join([]part{{Steps: []stretch{s, s}}})
		if err != nil {
			return
		}
		if w.all.ops() != 2*w.steps[0].ops() || len(w.steps) != 2 {
			t.Fatalf("%d operations of %d", w.all.ops(), w.steps[0].ops())
		}
	})
}
