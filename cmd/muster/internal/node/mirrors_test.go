package node

import (
	"slices"
	"testing"

	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
)

func TestMirrorsAreTheServersOfToday(t *testing.T) {
	config := &Config{Mirrors: []string{"https://mirror.example"}}
	urls := func(addresses ...string) (out []string) {
		for _, m := range config.mirrors(&join.Membership{APIAddresses: addresses}, &pki.KeyPair{}) {
			out = append(out, m.URL)
		}
		return out
	}
	if got, want := urls("10.0.0.1:6442"), []string{"https://10.0.0.1:6443", "https://mirror.example"}; !slices.Equal(got, want) {
		t.Errorf("mirrors %v, want %v", got, want)
	}
	if got, want := urls("10.0.0.2:6442", "[fd00::3]:6442"), []string{"https://10.0.0.2:6443", "https://[fd00::3]:6443", "https://mirror.example"}; !slices.Equal(got, want) {
		t.Errorf("mirrors %v, want %v", got, want)
	}
}
