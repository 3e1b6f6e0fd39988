package cluster

import (
	"fmt"
	"testing"
	"time"
)

func TestSilentServersGoAfterAWhile(t *testing.T) {
	begin := time.Unix(0, 0)
	for _, test := range []struct {
		name  string
		known bool
		steps []string // seconds: alive or not, gone or not
	}{
		{"fails", true, []string{"0 silent here", "1 silent here", "2 silent gone", "9 silent gone"}},
		{"comes back", true, []string{"0 silent here", "3 silent gone", "4 alive here", "5 silent here", "7 silent gone"}},
		{"was never seen", false, []string{"0 silent here", "9 silent here", "10 silent gone"}},
	} {
		var a absences
		for _, step := range test.steps {
			var seconds int
			var state, want string
			if n, err := fmt.Sscan(step, &seconds, &state, &want); n != 3 || err != nil {
				t.Fatalf("%q: %v", step, err)
			}
			gone := a.gone("s", state == "alive", test.known, begin.Add(time.Duration(seconds)*time.Second))
			if gone != (want == "gone") {
				t.Errorf("%s: %s: gone %v", test.name, step, gone)
			}
		}
	}
}
