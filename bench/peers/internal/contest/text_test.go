package contest

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	r := Result{Title: "Puts", Rows: []RowResult{
		{Label: "Ringtail", Acked: "two", Ours: true, Rounds: []Figures{{OpsPerSec: 61234.4, ServerMicros: 20.04, ClientMicros: 7, Put: Latency{0.4, 12.3, 125.6}}}},
		{Label: "other", Acked: "one", Rounds: []Figures{{OpsPerSec: 999.6, ServerMicros: 1234, ClientMicros: 70, Put: Latency{1, 2, 3}, Failed: 0.015}}},
	}}
	r.conclude()
	var b strings.Builder
	r.markdown(&b)
	const want = `
### Puts

|                      | acknowledged, or answered, means | ops/s  | server µs/op | client µs/op | put p50 / p99 / p99.9 ms |
|----------------------|----------------------------------|--------|--------------|--------------|--------------------------|
| Ringtail             | two                              | 61,234 | 20.0         | 7.0          | 0.40 / 12 / 126          |
| other (1.5 % failed) | one                              | 1,000  | 1,234        | 70.0         | 1.00 / 2.00 / 3.00       |

| median of rounds (least–most) | times the ops/s of  | times less server time than |
|-------------------------------|---------------------|-----------------------------|
| Ringtail : other              | 61.26 (61.26–61.26) | 61.58 (61.58–61.58)         |
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestColumnsAreThoseOfTheLoad(t *testing.T) {
	for _, c := range []struct {
		f    Figures
		gets bool
		puts bool
	}{
		{Figures{Get: Latency{1, 1, 1}}, true, false},
		{Figures{Put: Latency{1, 1, 1}}, false, true},
		{Figures{Get: Latency{1, 1, 1}, Put: Latency{1, 1, 1}}, true, true},
	} {
		r := Result{Rows: []RowResult{did("x", false, c.f)}}
		r.conclude()
		if gets, puts := r.kinds(); gets != c.gets || puts != c.puts {
			t.Errorf("%+v: %v, %v", c.f, gets, puts)
		}
	}
}

func TestReplace(t *testing.T) {
	got, err := replace("before\n"+begin+"old\n"+end+"after\n", "new\n")
	if want := "before\n" + begin + "\nnew\n\n" + end + "after\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	again, err := replace(got, "new\n")
	if err != nil || again != got {
		t.Errorf("a second time: %q, %v", again, err)
	}
	for _, doc := range []string{"", begin, end, end + begin} {
		if _, err := replace(doc, "new"); err == nil {
			t.Errorf("%q has a place", doc)
		}
	}
}
