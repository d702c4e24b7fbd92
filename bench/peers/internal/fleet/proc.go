package fleet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of processor time in /proc: USER_HZ is 100 wherever Go runs.
const tick = 10 * time.Millisecond

// stat is what is of interest in /proc/PID/stat.
type stat struct {
	// state is R, S, D, T, Z and so on.
	state byte
	group int
	// used is the processor time of the process and of the children that it has
	// waited for.
	used time.Duration
}

// alive tells that the process has not ended.
func (s stat) alive() bool { return s.state != 'Z' && s.state != 'X' }

// parseStat reads a line of /proc/PID/stat (proc(5)). The name of the program
// stands in parentheses and may hold any of what separates the fields.
func parseStat(line string) (stat, error) {
	const (
		state     = 0 // of the fields after the name
		group     = 2
		used      = 11
		usedTimes = 4
	)
	at := strings.LastIndexByte(line, ')')
	fields := strings.Fields(line[at+1:])
	if at < 0 || len(fields) < used+usedTimes {
		return stat{}, fmt.Errorf("read stat of a process: %q is not one", line)
	}
	pgrp, err := strconv.Atoi(fields[group])
	var ticks uint64
	for _, f := range fields[used : used+usedTimes] {
		n, nerr := strconv.ParseUint(f, 10, 63)
		err = errors.Join(err, nerr)
		ticks += n
	}
	if err != nil {
		return stat{}, fmt.Errorf("read stat of a process: %w", err)
	}
	return stat{state: fields[state][0], group: pgrp, used: time.Duration(ticks) * tick}, nil
}

// groupsStats returns what is known of the processes of some process groups.
func groupsStats(proc string, groups map[int]bool) ([]stat, error) {
	files, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "stat"))
	if err != nil {
		return nil, err
	}
	var stats []stat
	for _, file := range files {
		b, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has just ended
		}
		if err != nil {
			return nil, err
		}
		s, err := parseStat(string(b))
		if err != nil {
			return nil, err
		}
		if groups[s.group] {
			stats = append(stats, s)
		}
	}
	return stats, nil
}
