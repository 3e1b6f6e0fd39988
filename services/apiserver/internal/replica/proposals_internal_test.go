package replica

import "testing"

// A leader waits for those who were just answered, and for nothing else.
func TestWhenABatchIsDue(t *testing.T) {
	three := &batch{count: 3}
	for _, c := range []struct {
		name string
		q    proposals
		want bool
	}{
		{"nothing has gathered", proposals{}, false},
		{"nothing is under way", proposals{next: three}, true},
		{"some are to call again", proposals{next: three, lingering: true, expected: 4}, false},
		{"all have called again", proposals{next: three, lingering: true, expected: 3}, true},
		{"more than fit", proposals{next: three, held: &proposal{}, lingering: true, expected: 4}, true},
		{"too many are under way", proposals{next: three, held: &proposal{}, flying: batchesInFlight}, false},
	} {
		if got := c.q.due(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
