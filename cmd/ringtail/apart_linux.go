package main

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"
)

// maxCPU bounds the processors that are told apart.
const maxCPU = 1024

type cpuSet [maxCPU / 64]uint64

// affinity asks for the processors that a thread may use, or sets them: thread 0 is
// the caller's.
func affinity(call uintptr, thread int, set *cpuSet) error {
	_, _, errno := syscall.RawSyscall(call, uintptr(thread), unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
	if errno != 0 {
		return errno
	}
	return nil
}

// split returns the first of the processors that this process may use, and the
// others; false where there are no two.
func split() (first, others cpuSet, ok bool) {
	if affinity(syscall.SYS_SCHED_GETAFFINITY, 0, &others) != nil {
		return first, others, false
	}
	for i := range others {
		if others[i] != 0 {
			first[i] = others[i] & -others[i]
			others[i] &^= first[i]
			break
		}
	}
	return first, others, others != cpuSet{}
}

// onFirst has the calling thread, and what it starts, use the first processor
// alone, until the function that it returns is called. The caller has locked the
// thread.
func onFirst() (undo func()) {
	var all cpuSet
	first, _, ok := split()
	if !ok || affinity(syscall.SYS_SCHED_GETAFFINITY, 0, &all) != nil {
		return func() {}
	}
	_ = affinity(syscall.SYS_SCHED_SETAFFINITY, 0, &first)
	return func() { _ = affinity(syscall.SYS_SCHED_SETAFFINITY, 0, &all) }
}

// setApart has this process use all processors but the first, until the function
// that it returns is called.
func setApart() (undo func()) {
	_, others, ok := split()
	var all cpuSet
	if !ok || affinity(syscall.SYS_SCHED_GETAFFINITY, 0, &all) != nil {
		return func() {}
	}
	n := 0
	for i := range others {
		for bit := others[i]; bit != 0; bit &= bit - 1 {
			n++
		}
	}
	was := runtime.GOMAXPROCS(n)
	setThreads(&others)
	return func() {
		setThreads(&all)
		runtime.GOMAXPROCS(was)
	}
}

// setThreads sets the processors of all threads of this process; new ones have
// those of the thread that makes them.
func setThreads(set *cpuSet) {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	for _, t := range threads {
		if id, err := strconv.Atoi(t.Name()); err == nil {
			_ = affinity(syscall.SYS_SCHED_SETAFFINITY, id, set)
		}
	}
}
