package main

import (
	"context"
	"io"
	"os"
	"testing"
)

// TestNothingIsLeft ends a run before it has begun to build.
func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, []string{"-dir", dir, "-stores", "nats", "-json", ""}, io.Discard, io.Discard); err == nil {
		t.Error("a run that was told to end did all")
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
}
