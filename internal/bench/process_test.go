package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

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
		if r.Ops == 0 || ops != r.Ops || len(r.Timeline) == 0 || r.Processes != 3 || len(r.Errors) > 0 || r.OwnCPU <= 0 || r.ClusterCPUNote != "" {
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

// Steps of processes that end with one interval are one, whatever steps others
// missed; no step is made up.
func TestStepsAreJoinedByInterval(t *testing.T) {
	r := recorded(10, 0, 1, 2)
	w, err := join([]part{
		{Steps: []stretch{r.stretch(0, 0, 1), r.stretch(1, 1, 1), r.stretch(3, 2, 2)}},
		{Steps: []stretch{r.stretch(1, 0, 2.5), r.stretch(3, 2.5, 1.5)}},
	})
	if err != nil || len(w.steps) != 4 || w.steps[2] != nil || w.all.ops() != 50 {
		t.Fatalf("%v, %+v", err, w)
	}
	for i, want := range map[int]Interval{0: {At: 0, Seconds: 1, Ops: 10}, 1: {At: 0, Seconds: 2.5, Ops: 20}, 3: {At: 2, Seconds: 2, Ops: 20}} {
		if w.times[i].At != want.At || w.times[i].Seconds != want.Seconds || w.steps[i].ops() != want.Ops {
			t.Errorf("step %d: %+v with %d operations, want %+v", i, w.times[i], w.steps[i].ops(), want)
		}
	}
	for _, index := range []int{-1, MaxIntervals + 1} {
		if _, err := join([]part{{Steps: []stretch{r.stretch(index, 0, 1)}}}); kv.KindOf(err) != kv.KindCorrupt {
			t.Errorf("step %d: %v", index, err)
		}
	}
	if _, err := join([]part{{Steps: []stretch{r.stretch(MaxIntervals, 0, 1)}}}); err != nil {
		t.Errorf("the last step: %v", err)
	}
}

// A timeline that is late makes one step of what it missed.
func TestLateTimeline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := span{from: time.Now(), to: time.Now().Add(10 * time.Second)}
		line := newTimeline(nil, s.from, time.Second)
		time.Sleep(3500 * time.Millisecond)
		line.run(make(chan struct{}), s)
		time.Sleep(1100 * time.Millisecond)
		if err := line.end(time.Now()); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, step := range line.steps {
			got = append(got, fmt.Sprintf("%d: %g+%g", step.Index, step.At, step.Seconds))
		}
		const want = "2: 0+3.5, 3: 3.5+0.5, 4: 4+1, 5: 5+1, 6: 6+1, 7: 7+1, 8: 8+1, 9: 9+1.1"
		if text := strings.Join(got, ", "); text != want {
			t.Errorf("%s\nwant %s", text, want)
		}
	})
}

func TestSparse(t *testing.T) {
	for _, most := range []int64{longest, furthest} {
		h := hdrhistogram.New(finest, most, digits)
		for _, d := range []int64{0, 1, 999, 1000, 5_000_000, 5_000_001, most / 3, most} {
			if err := h.RecordValues(d, d%7+1); err != nil {
				t.Fatal(err)
			}
		}
		got, err := compact(h).histogram(most)
		if err != nil || !got.Equals(h) || got.TotalCount() != h.TotalCount() {
			t.Errorf("to %d: %v", most, err)
		}
	}
	if s := compact(hdrhistogram.New(finest, longest, digits)); s != nil {
		t.Errorf("of nothing: %x", s)
	}
	for _, bad := range []sparse{{1}, {0, 1}, {0x80}, {1, 0x80}, binary.AppendUvarint(nil, maxPlaces+1), append(binary.AppendUvarint(nil, 60_000), 1), append(sparse{1}, binary.AppendUvarint(nil, 1<<63)...)} {
		if _, err := bad.histogram(longest); kv.KindOf(err) != kv.KindCorrupt {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func FuzzStretch(f *testing.F) {
	f.Add([]byte(compact(recorded(5, 0, 1, 2).latencies[read])), 3, 0)
	f.Add([]byte{1, 255, 255, 255, 255, 255, 255, 255, 255, 63, 1, 1}, 101, -1)
	f.Fuzz(func(t *testing.T, histogram []byte, versions, index int) {
		s := stretch{Index: index, Versions: make([]uint64, min(max(versions, 0), 200))}
		s.Latencies[read], s.Services[update] = histogram, histogram
		w, err := join([]part{{Steps: []stretch{s, s}}})
		if err != nil {
			return
		}
		if got, want := w.all.ops(), w.steps[index].ops(); got != want {
			t.Fatalf("%d operations, %d in the step", got, want)
		}
	})
}

func BenchmarkStretch(b *testing.B) {
	r := newRecord()
	random := rand.New(rand.NewPCG(1, 2))
	for range 30_000 {
		r.done(read, time.Duration(random.ExpFloat64()*float64(2*time.Millisecond)))
	}
	b.ReportAllocs()
	for b.Loop() {
		r.stretch(0, 0, 1)
	}
}
