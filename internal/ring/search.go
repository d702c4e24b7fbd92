package ring

// search finds shortest chains of nodes, breadth first: each node of a chain
// takes a slot that the one before it gives up. One search is kept and used
// again.
type search struct {
	// via holds, for each node reached, the slot that it would take: outside
	// for a node that starts a chain, unreached for the others.
	via   []int
	queue []int
	goal  func(v int) bool
	// found is the first node reached that is a goal, or unreached.
	found int
}

const (
	unreached = -1
	outside   = -2
)

func newSearch(nodes int) *search { return &search{via: make([]int, nodes)} }

// begin forgets the last search and sets the goal of the next.
func (s *search) begin(goal func(v int) bool) {
	for v := range s.via {
		s.via[v] = unreached
	}
	s.queue, s.goal, s.found = s.queue[:0], goal, unreached
}

// reach notes that v can be reached by taking slot.
func (s *search) reach(v, slot int) {
	if s.via[v] != unreached {
		return
	}
	s.via[v] = slot
	s.queue = append(s.queue, v)
	if s.found == unreached && slot != outside && s.goal(v) {
		s.found = v
	}
}

// start begins chains at all nodes that give.
func (s *search) start(gives func(v int) bool) {
	for v := range s.via {
		if gives(v) {
			s.reach(v, outside)
		}
	}
}

// run expands reached nodes in order until a goal is found, and reports
// whether one was. expand reaches the nodes that can follow u.
func (s *search) run(expand func(u int)) bool {
	for at := 0; at < len(s.queue) && s.found == unreached; at++ {
		expand(s.queue[at])
	}
	return s.found != unreached
}
