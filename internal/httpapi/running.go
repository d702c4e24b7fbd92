package httpapi

import "sync"

// running counts the handlers at work, so that the end of the server can wait
// for the last of them. It is safe for concurrent use.
type running struct {
	mu struct {
		sync.Mutex
		n     int
		ended bool
	}
	// idle is closed once no handler runs and none will begin.
	idle chan struct{}
}

func newRunning() *running { return &running{idle: make(chan struct{})} }

// enter tells whether a handler may begin; then leave must follow.
func (r *running) enter() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.mu.ended {
		r.mu.n++
	}
	return !r.mu.ended
}

func (r *running) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.n--
	r.settle()
}

// end lets no more handlers begin; it is called once.
func (r *running) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mu.ended = true
	r.settle()
}

// settle closes idle when the time has come. The caller holds the lock.
func (r *running) settle() {
	if r.mu.ended && r.mu.n == 0 {
		close(r.idle)
	}
}
