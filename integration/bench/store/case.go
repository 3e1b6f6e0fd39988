package store

import (
	"context"
	"fmt"
	"slices"
)

// Figure is one value that a case measured in one round.
type Figure struct {
	// Suffix of the case's name.
	Suffix string
	Unit   string
	Value  float64
}

// measure measures one cluster once.
type measure func(ctx context.Context, b *bed) ([]Figure, error)

// Case is something to measure on both stores.
type Case struct {
	// Name of the case, with its parameters: "put/members=3/callers=64".
	Name    string
	Members int
	// Group of cases that share their clusters, which have Members members.
	Group string
	// Fresh clusters for every round.
	Fresh bool
	// Once measures in the first round only.
	Once bool
	// Kills counts rounds by Options.Kills; the report has median and maximum.
	Kills   bool
	measure measure
}

// Cases are all that are measured, in order.
func Cases() []Case {
	callers := []int{1, 16, 64, 256, 1024}
	var cases []Case
	shared := func(members int, m measure, format string, args ...any) {
		cases = append(cases, Case{Name: fmt.Sprintf(format, args...), Members: members, Group: "calls", measure: m})
	}
	for _, members := range []int{1, 3} {
		for _, n := range callers {
			shared(members, puts(n, workingObjects), "put/members=%d/callers=%d", members, n)
		}
		for _, n := range callers {
			shared(members, gets(n, workingObjects), "get/members=%d/callers=%d", members, n)
		}
	}
	shared(3, lists, "list/members=3/objects=%d", listedObjects)
	for _, n := range []int{1, 100, 1000} {
		shared(3, fanouts(n), "watch/members=3/watchers=%d", n)
	}
	const objects = 100_000
	return append(cases,
		Case{Name: fmt.Sprintf("memory/objects=%d", objects), Members: 1, Group: "memory", Fresh: true, measure: memory(objects)},
		Case{Name: fmt.Sprintf("memory/pods=%d", objects), Members: 1, Group: "memory-of-pods", Fresh: true, measure: memoryOfPods(objects)},
		Case{Name: fmt.Sprintf("restart/objects=%d", objects), Members: 1, Group: "restart", measure: restarts(objects)},
		Case{Name: "leader-lost/members=3/gap", Members: 3, Group: "leader-lost", Kills: true, measure: failover},
	)
}

// GrowthCases are measured on one member with a given count of objects. The
// names of their figures end in /objects=N.
func GrowthCases(objects int) []Case {
	const callers = 64
	group := fmt.Sprintf("growth/objects=%d", objects)
	one := func(name string, once bool, m measure) Case {
		return Case{Name: fmt.Sprintf("%s/objects=%d", name, objects), Members: 1, Group: group, Once: once, measure: m}
	}
	return []Case{
		one("memory", true, memory(objects)), // the first one, as it fills the namespace
		one("put/members=1/callers=64", false, plain(puts(callers, objects))),
		one("get/members=1/callers=64", false, plain(gets(callers, objects))),
		one("list-10000", false, func(ctx context.Context, b *bed) ([]Figure, error) { return b.list(ctx, working) }),
		one("restart", true, restarts(objects)),
	}
}

// plain leaves out what has a suffix.
func plain(m measure) measure {
	return func(ctx context.Context, b *bed) ([]Figure, error) {
		figures, err := m(ctx, b)
		return slices.DeleteFunc(figures, func(f Figure) bool { return f.Suffix != "" }), err
	}
}
