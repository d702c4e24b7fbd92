package httpapi

import (
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"time"

	"github.com/ringtaildb/ringtail/internal/kv"
	"github.com/ringtaildb/ringtail/internal/metrics"
)

// handler answers a request for t. An error that it returns is the answer, and
// then it has written nothing.
type handler func(w http.ResponseWriter, r *http.Request, t target) error

// methods are a page's handlers by method. HEAD is served as GET: the server
// leaves the body out.
type methods map[string]handler

// routes returns the handlers of every page.
func (s *Server) routes() map[page]methods {
	routes := map[page]methods{
		pageRoot:       {http.MethodGet: s.getRoot},
		pageKey:        {http.MethodGet: s.getKey, http.MethodPut: s.putKey, http.MethodPost: s.putKey, http.MethodDelete: s.deleteKey},
		pageKeys:       {http.MethodGet: s.listKeys, http.MethodPost: s.postKey},
		pageProps:      {http.MethodGet: s.getProps, http.MethodPut: s.putProps, http.MethodDelete: s.deleteProps},
		pageBuckets:    {http.MethodGet: s.listBuckets},
		pageType:       {http.MethodGet: s.getType, http.MethodPut: s.putType},
		pageTypes:      {http.MethodGet: s.getTypes},
		pagePing:       {http.MethodGet: getPing},
		pageStats:      {http.MethodGet: s.getStats},
		pagePreflist:   {http.MethodGet: s.getPreflist},
		pageCluster:    {http.MethodGet: s.getCluster},
		pagePlan:       {http.MethodGet: s.getPlan},
		pageCommit:     {http.MethodPost: s.postCommit},
		pageJoin:       {http.MethodPost: s.postStage("join")},
		pageLeave:      {http.MethodPost: s.postStage("leave")},
		pageRemove:     {http.MethodPost: s.postStage("remove")},
		pageReplace:    {http.MethodPost: s.postStage("replace")},
		pageWeight:     {http.MethodPost: s.postStage("weight")},
		pageClear:      {http.MethodPost: s.postClear},
		pagePace:       {http.MethodGet: s.getPace, http.MethodPut: s.putPace},
		pageSLA:        {http.MethodGet: s.getSLA, http.MethodPut: s.putSLA},
		pagePartitions: {http.MethodGet: s.getPartitions},
		pageMetrics:    {http.MethodGet: plain(s.parts.Metrics.Handler())},
		pageHealthz:    {http.MethodGet: s.getHealth(s.parts.Health.Healthy)},
		pageReadyz:     {http.MethodGet: s.getHealth(s.parts.Health.Ready)},
	}
	if u := s.parts.Upkeep; u != nil {
		routes[pageRepair] = methods{http.MethodGet: showRun(s.repairing), http.MethodPost: startRun(u.Repair, s.repairing)}
		routes[pageScrub] = methods{http.MethodGet: showRun(u.Scrubbing), http.MethodPost: startRun(u.Scrub, u.Scrubbing)}
	}
	if s.cfg.Pprof {
		routes[pagePprof] = methods{http.MethodGet: servePprof, http.MethodPost: servePprof}
	}
	return routes
}

// plain makes a handler of one that answers for itself.
func plain(h http.Handler) handler {
	return func(w http.ResponseWriter, r *http.Request, _ target) error {
		h.ServeHTTP(w, r)
		return nil
	}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		c.served++
	}
	// A cache between client and node would undo every promise about reads.
	w.Header().Set("Cache-Control", "no-store")
	if r.ContentLength != 0 {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.cfg.BodyTimeout))
	}
	if err := s.serve(w, r); err != nil {
		writeError(w, r, err)
	}
}

// serve finds the page and the handler of r and calls it.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) error {
	if err := s.origins.Check(r); err != nil {
		return statusError{http.StatusForbidden, kv.Wrap(kv.KindRefused, "check origin", err)}
	}
	t, err := s.find(rawPath(r))
	if err != nil {
		return err
	}
	m, ok := s.pages[t.page]
	if !ok {
		return kv.Errorf(kv.KindNotFound, "find page", "there is no page %.100q", r.URL.Path)
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	h, ok := m[method]
	if !ok {
		w.Header().Set("Allow", m.allow())
		return statusError{http.StatusMethodNotAllowed, kv.Errorf(kv.KindInvalid, "find page",
			"%s is not for this page, which takes %s", r.Method, m.allow())}
	}
	if t.bucket != "" || t.page == pageBuckets {
		return s.serveBounded(h, w, r, t)
	}
	return h(w, r, t)
}

// serveBounded serves a request for a bucket, as one of MaxRequests at once.
// The other pages are not bounded so: they are asked when a node is in trouble.
func (s *Server) serveBounded(h handler, w http.ResponseWriter, r *http.Request, t target) error {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return kv.Errorf(kv.KindOverloaded, "accept request", "%d requests are being served, the limit", s.cfg.MaxRequests)
	}
	if t.page == pageKey || t.page == pageKeys && r.Method == http.MethodPost {
		s.parts.Metrics.Requests[metrics.DoorHTTP].Add(1)
	}
	return h(w, r, t)
}

// allow returns the header Allow.
func (m methods) allow() string {
	var names []string
	for name := range m {
		names = append(names, name)
		if name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func servePprof(w http.ResponseWriter, r *http.Request, _ target) error {
	switch strings.TrimPrefix(r.URL.Path, "/debug/pprof/") {
	case "cmdline":
		pprof.Cmdline(w, r)
	case "profile":
		pprof.Profile(w, r)
	case "symbol":
		pprof.Symbol(w, r)
	case "trace":
		pprof.Trace(w, r)
	default:
		pprof.Index(w, r)
	}
	return nil
}
