package conformance

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
)

// Summarize prints every spec that was run or not reached, how many were skipped
// for which reason, and a table of the groups.
func Summarize(w io.Writer, specs []Spec) error {
	counts, skipped := map[string]map[State]int{}, map[string]int{}
	for _, s := range specs {
		if s.State == Unasked && s.Why == "" {
			continue
		}
		if counts[s.Group()] == nil {
			counts[s.Group()] = map[State]int{}
		}
		counts[s.Group()][s.State]++
		if s.State == Skipped {
			skipped[s.Why]++
			continue
		}
		fmt.Fprintf(w, "%-7s %6.1fs  %s\n", s.State, s.Took.Seconds(), s.Name)
		if s.Why != "" {
			fmt.Fprintln(w, "        ", s.Why)
		}
	}
	for _, why := range slices.Sorted(maps.Keys(skipped)) {
		fmt.Fprintf(w, "skipped %4d specs: %s\n", skipped[why], why)
	}
	return summarizeGroups(w, counts)
}

func summarizeGroups(w io.Writer, counts map[string]map[State]int) error {
	rows := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(rows, "\ngroup\tpassed\tfailed\tskipped\tnot reached\t")
	for _, group := range slices.Sorted(maps.Keys(counts)) {
		n := counts[group]
		fmt.Fprintf(rows, "%s\t%d\t%d\t%d\t%d\t\n", group, n[Passed], n[Failed], n[Skipped], n[Unasked])
	}
	return rows.Flush()
}

// Conformant returns an error that says how many specs did not pass; those that
// are left out on purpose are not counted.
func Conformant(specs []Spec) error {
	passed, bad := 0, 0
	for _, s := range specs {
		switch {
		case s.State == Passed:
			passed++
		case s.State == Failed, s.State == Unasked && s.Why != "":
			bad++
		}
	}
	if bad > 0 || passed == 0 {
		return fmt.Errorf("%d specs passed, %d did not", passed, bad)
	}
	return nil
}
