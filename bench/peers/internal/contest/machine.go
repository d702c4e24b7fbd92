package contest

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is what the figures depend on beside the stores.
type Machine struct {
	Day        string  `json:"day"`
	Processors int     `json:"processors"`
	Model      string  `json:"model"`
	Kernel     string  `json:"kernel"`
	Go         string  `json:"go"`
	Filesystem string  `json:"filesystem"`
	SyncMillis float64 `json:"sync_ms"`
	// LoadBefore and LoadAfter are the load averages of a minute: well above 0
	// before, or above the callers' own after, somebody else was at it.
	LoadBefore float64 `json:"load_before"`
	LoadAfter  float64 `json:"load_after"`
}

const (
	// syncs is how many times a file is synced to tell how long that takes.
	syncs     = 200
	syncBytes = 1024
)

// names of file systems, by the number that statfs gives.
var filesystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.TMPFS_MAGIC: "tmpfs: nothing is durable there, whatever is synced",
}

// Look returns what is known of the machine, whose disk holds dir.
func Look(dir string) (Machine, error) {
	m := Machine{
		Day: time.Now().UTC().Format(time.DateOnly), Processors: runtime.NumCPU(), Go: runtime.Version(),
		Model: processor(), LoadBefore: LoadAverage(),
	}
	var name unix.Utsname
	if err := unix.Uname(&name); err == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return m, fmt.Errorf("ask for the file system of %s: %w", dir, err)
	}
	var known bool
	if m.Filesystem, known = filesystems[int64(fs.Type)]; !known {
		m.Filesystem = fmt.Sprintf("file system %#x", fs.Type)
	}
	var err error
	m.SyncMillis, err = timeSyncs(dir)
	return m, err
}

// timeSyncs returns the median time of an append with its sync.
func timeSyncs(dir string) (float64, error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var times []float64
	for range syncs {
		began := time.Now()
		if _, err := f.Write(make([]byte, syncBytes)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		times = append(times, float64(time.Since(began))/float64(time.Millisecond))
	}
	return spread(times).Median, nil
}

// LoadAverage returns the load average of the last minute, 0 when it is not known.
func LoadAverage() float64 {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(b), " ")
	load, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return 0
	}
	return load
}

// processor returns the model of the first processor.
func processor() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
