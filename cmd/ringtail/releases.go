package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ringtaildb/ringtail/internal/httpapi"
	"github.com/ringtaildb/ringtail/internal/membership"
)

// release is what some nodes run.
type release struct {
	version  string
	protocol int
	nodes    []string
}

// String reads "v1.2.0, protocol 2".
func (r release) String() string {
	return fmt.Sprintf("%s, protocol %d", cmp.Or(r.version, "unknown"), r.protocol)
}

// releases returns what members run, the oldest first. Of one that does not tell
// its release the protocol is known: it is left out if others speak the same.
func releases(members []httpapi.MemberView) []release {
	var list []release
	protocols := map[int]bool{}
	add := func(m httpapi.MemberView, version string) {
		i := slices.IndexFunc(list, func(r release) bool { return r.protocol == m.Protocol && r.version == version })
		if i < 0 {
			list, i = append(list, release{version: version, protocol: m.Protocol}), len(list)
		}
		list[i].nodes = append(list[i].nodes, m.Name)
	}
	for _, m := range members {
		if s := m.Stats; s != nil {
			protocols[m.Protocol] = true
			add(m, s.Version)
		}
	}
	for _, m := range members {
		if m.Stats == nil && !protocols[m.Protocol] {
			add(m, "")
		}
	}
	for _, r := range list {
		slices.SortFunc(r.nodes, byName)
	}
	slices.SortFunc(list, func(a, b release) int {
		return cmp.Or(cmp.Compare(a.protocol, b.protocol), strings.Compare(a.version, b.version))
	})
	return list
}

// releaseWarnings tells of an upgrade that is under way.
func releaseWarnings(members []httpapi.MemberView) []string {
	list := releases(members)
	if len(list) < 2 {
		return nil
	}
	var parts []string
	for _, r := range list {
		parts = append(parts, fmt.Sprintf("%s (%v)", strings.Join(r.nodes, ", "), r))
	}
	text := "releases differ: " + strings.Join(parts, "; ")
	if list[0].protocol < int(membership.ChangesNeed) {
		text += fmt.Sprintf("; the ring cannot change until all speak protocol %d", membership.ChangesNeed)
	}
	return []string{text}
}
