package kv

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestResolve(t *testing.T) {
	bucket := Quorums{R: 2, W: 2, DW: Unset}
	opts := func(change func(*Options)) Options {
		o := Defaults()
		change(&o)
		return o
	}
	for _, c := range []struct {
		name   string
		o      Options
		bucket Quorums
		want   Options
	}{
		{"the bucket's defaults", Defaults(), bucket, Options{R: 2, W: 2, DW: 2, Timeout: DefaultTimeout}},
		{"dw follows the request's w", opts(func(o *Options) { o.W = 3 }), bucket, Options{R: 2, W: 3, DW: 3, Timeout: DefaultTimeout}},
		{"unless the bucket says otherwise", opts(func(o *Options) { o.W = 3 }), Quorums{2, 2, 1}, Options{R: 2, W: 3, DW: 1, Timeout: DefaultTimeout}},
		{"dw=0 is a choice", opts(func(o *Options) { o.DW = 0 }), bucket, Options{R: 2, W: 2, DW: 0, Timeout: DefaultTimeout}},
		{"the request's own", Options{R: 1, W: 1, DW: 3, Strict: true, ReturnBody: true, Timeout: time.Second}, bucket,
			Options{R: 1, W: 1, DW: 3, Strict: true, ReturnBody: true, Timeout: time.Second}},
	} {
		got, err := c.o.Resolve(3, c.bucket)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, diff)
		}
	}
	if _, err := Defaults().Resolve(3, Quorums{R: 4, W: 2, DW: Unset}); err == nil {
		t.Error("a bucket's r past N is accepted")
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		// field is what the error names; empty for options that are valid.
		field string
		o     Options
	}{
		{"", Defaults()},
		{"", Options{R: 1, W: 1, DW: 0}},
		{"", Options{R: 3, W: 3, DW: 3, Timeout: MinTimeout}},
		{"", Options{R: 3, W: 3, DW: 3, Timeout: MaxTimeout}},
		{"r=0", Options{R: 0, W: 1}},
		{"r=4", Options{R: 4, W: 1}},
		{"r=-2", Options{R: -2, W: 1}},
		{"w=0", Options{R: 1, W: 0}},
		{"w=4", Options{R: 1, W: 4}},
		{"dw=4", Options{R: 1, W: 1, DW: 4}},
		{"dw=-2", Options{R: 1, W: 1, DW: -2}},
		{"timeout=", Options{R: 1, W: 1, Timeout: MinTimeout - 1}},
		{"timeout=", Options{R: 1, W: 1, Timeout: MaxTimeout + 1}},
		{"timeout=", Options{R: 1, W: 1, Timeout: -1}},
	} {
		err := c.o.Validate(3)
		switch {
		case c.field == "" && err != nil:
			t.Errorf("%+v: %v", c.o, err)
		case c.field != "" && (err == nil || KindOf(err) != KindInvalid || !strings.Contains(err.Error(), c.field)):
			t.Errorf("%+v: %v, want an error that names %s", c.o, err, c.field)
		}
	}
}
