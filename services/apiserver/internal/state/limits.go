package state

// Limits bound what a store remembers of its past. They are a member's own
// affair: they change nothing of the state.
type Limits struct {
	// Events is how many committed events watchers may lag behind.
	Events int
	// Bytes is how much those events may weigh.
	Bytes int
}

// DefaultLimits returns what New uses: some seconds of the heaviest writing, or
// a day of an idle cluster.
func DefaultLimits() Limits {
	return Limits{Events: 1 << 16, Bytes: 64 << 20}
}
