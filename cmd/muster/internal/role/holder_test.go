package role_test

import (
	"testing"

	"github.com/musterhq/muster/cmd/muster/internal/role"
)

func TestHolderAddress(t *testing.T) {
	for holder, want := range map[string]string{
		role.Holder("s1", "10.0.0.1:6445"):  "10.0.0.1:6445",
		role.Holder("s1", "[fd00::1]:6445"): "[fd00::1]:6445",
		"server1":                           "", // a server's own, asked at the server's address
		"":                                  "",
	} {
		if got := role.HolderAddress(holder); got != want {
			t.Errorf("holder %q answers at %q, want %q", holder, got, want)
		}
	}
}
