package state

// Limits bound what a store remembers of its past. They are a member's own
// affair: they change nothing of the state.
type Limits struct {
	// Events is how many committed events watchers may lag behind.
	Events int
	// Bytes is how much those events may weigh.
	Bytes int
	// Views is how many past versions are kept, one for each command that
	// changed something; each holds what was replaced since. ViewAt makes those
	// between two of them from the events.
	Views int
}

// DefaultLimits returns what New uses: some seconds of the heaviest writing, or
// a day of an idle cluster.
func DefaultLimits() Limits {
	return Limits{Events: 1 << 16, Bytes: 64 << 20, Views: 2048}
}
