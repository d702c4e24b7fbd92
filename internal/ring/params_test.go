package ring

import (
	"strings"
	"testing"

	"github.com/ringtaildb/ringtail/internal/kv"
)

func TestDefaultParams(t *testing.T) {
	p := DefaultParams()
	if want := (Params{N: 3, R: 2, W: 2, Q: 1024, Partitioner: MD5}); p != want {
		t.Errorf("DefaultParams() = %+v, want %+v", p, want)
	}
	if err := p.Validate(); err != nil {
		t.Error(err)
	}
}

// Each case is the defaults with one thing changed: at a limit, and one past
// it, where the error must name the field.
func TestParamsLimits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Params)
		bad    string
	}{
		{"n 1", func(p *Params) { p.N, p.R, p.W = 1, 1, 1 }, ""},
		{"n 0", func(p *Params) { p.N = 0 }, "n=0"},
		{"n 16", func(p *Params) { p.N = kv.MaxReplicas }, ""},
		{"n 17", func(p *Params) { p.N = kv.MaxReplicas + 1 }, "n=17"},
		{"r 1", func(p *Params) { p.R = 1 }, ""},
		{"r 0", func(p *Params) { p.R = 0 }, "r=0"},
		{"r N", func(p *Params) { p.R = 3 }, ""},
		{"r N+1", func(p *Params) { p.R = 4 }, "r=4"},
		{"w 1", func(p *Params) { p.W = 1 }, ""},
		{"w 0", func(p *Params) { p.W = 0 }, "w=0"},
		{"w N", func(p *Params) { p.W = 3 }, ""},
		{"w N+1", func(p *Params) { p.W = 4 }, "w=4"},
		{"q 1", func(p *Params) { p.Q = 1 }, ""},
		{"q 0", func(p *Params) { p.Q = 0 }, "q=0"},
		{"q negative", func(p *Params) { p.Q = -1024 }, "q=-1024"},
		{"q odd", func(p *Params) { p.Q = 1000 }, "q=1000"},
		{"q 65536", func(p *Params) { p.Q = MaxPartitions }, ""},
		{"q 131072", func(p *Params) { p.Q = 2 * MaxPartitions }, "q=131072"},
		{"crc16 16384", func(p *Params) { p.Q, p.Partitioner = Slots, CRC16 }, ""},
		{"crc16 32768", func(p *Params) { p.Q, p.Partitioner = 2*Slots, CRC16 }, "q=32768"},
		{"partitioner", func(p *Params) { p.Partitioner = numPartitioners }, "partitioner 2"},
	} {
		p := DefaultParams()
		tt.change(&p)
		switch err := p.Validate(); {
		case tt.bad == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.bad != "" && (err == nil || kv.KindOf(err) != kv.KindInvalid || !strings.Contains(err.Error(), tt.bad)):
			t.Errorf("%s: error %v, want one of KindInvalid that names %q", tt.name, err, tt.bad)
		}
	}
}
