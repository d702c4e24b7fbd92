package contest

import (
	"os"
	"testing"
)

func TestLook(t *testing.T) {
	dir := t.TempDir()
	m, err := Look(dir)
	if err != nil || m.Processors < 1 || m.Filesystem == "" || m.Kernel == "" || m.Model == "" || m.SyncMillis <= 0 {
		t.Errorf("got %+v, %v", m, err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v is left, %v", left, err)
	}
	if _, err := Look(dir + "/not there"); err == nil {
		t.Error("a directory that is not there is looked at")
	}
}
