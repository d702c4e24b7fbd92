package fleet

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// line is what /proc/PID/stat has for a process of that name, its fields by
// number as proc(5) counts them.
func line(name, group, user, system, childUser, childSystem string) string {
	fields := strings.Fields("1 NAME S 1 GROUP 1 0 -1 4194560 7 8 9 10 USER SYSTEM CUSER CSYSTEM 20 0 1 0 100 1 2 3")
	r := strings.NewReplacer("NAME", "("+name+")", "GROUP", group, "CUSER", childUser, "CSYSTEM", childSystem, "USER", user, "SYSTEM", system)
	return r.Replace(strings.Join(fields, " ")) + "\n"
}

func TestParseStat(t *testing.T) {
	for name, c := range map[string]struct {
		line string
		want stat
		bad  bool
	}{
		"plain":              {line: line("redis-server", "42", "1", "2", "3", "4"), want: stat{'S', 42, 100 * time.Millisecond}},
		"spaces":             {line: line("a b c", "7", "0", "0", "0", "0"), want: stat{'S', 7, 0}},
		"parentheses":        {line: line("x) R 9 (y", "7", "100", "0", "0", "1"), want: stat{'S', 7, 1010 * time.Millisecond}},
		"empty":              {line: "", bad: true},
		"cut":                {line: "1 (x) S 1 42 1 0", bad: true},
		"no number":          {line: line("x", "42", "many", "0", "0", "0"), bad: true},
		"a group that isn't": {line: line("x", "g", "1", "0", "0", "0"), bad: true},
		"below zero":         {line: line("x", "42", "-1", "0", "0", "0"), bad: true},
	} {
		got, err := parseStat(c.line)
		if (err != nil) != c.bad || !c.bad && got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v, an error: %v", name, got, err, c.want, c.bad)
		}
	}
}

func TestGroupsStats(t *testing.T) {
	proc := t.TempDir()
	for pid, text := range map[string]string{
		"10": line("leader", "10", "1", "0", "0", "0"), "11": line("child", "10", "2", "0", "0", "0"),
		"20": line("other", "20", "100", "0", "0", "0"), "30": line("second", "30", "3", "0", "0", "0"),
	} {
		write(t, filepath.Join(proc, pid, "stat"), text)
	}
	write(t, filepath.Join(proc, "loadavg"), "0")
	got, err := groupsStats(proc, map[int]bool{10: true, 30: true})
	want := []stat{{'S', 10, 10 * time.Millisecond}, {'S', 10, 20 * time.Millisecond}, {'S', 30, 30 * time.Millisecond}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	write(t, filepath.Join(proc, "40", "stat"), "nothing of the kind")
	if _, err := groupsStats(proc, map[int]bool{10: true}); err == nil {
		t.Error("no error for a file that is no stat")
	}
}

func TestAlive(t *testing.T) {
	for state, want := range map[byte]bool{'R': true, 'S': true, 'D': true, 'T': true, 'Z': false, 'X': false} {
		if got := (stat{state: state}).alive(); got != want {
			t.Errorf("%c: got %v", state, got)
		}
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
