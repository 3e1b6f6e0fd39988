//go:build root

package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// TestQuickStart does what `make up` does once everything is built, beside the
// cluster of the other tests, and holds the README to it.
func TestQuickStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	name := fmt.Sprintf("up%d", os.Getpid())
	t.Cleanup(func() {
		_, err := harness.Run(context.Background(), "", harness.Muster(), "dev", "down", "--name", name, "--data-dir", dir)
		if err != nil {
			t.Error(err)
		}
	})
	out, err := harness.Run(t.Context(), "", filepath.Join(harness.Root(), "scripts", "up"), name, dir)
	if err != nil {
		t.Fatal(err)
	}
	answers := regexp.MustCompile(`(?m)^I'm (whoami-deployment-\S+)$`).FindAllStringSubmatch(out, -1)
	names := map[string]bool{}
	for _, a := range answers {
		names[a[1]] = true
	}
	if len(answers) != 8 || len(names) != 3 {
		t.Errorf("%d answers by %v, want 8 by all 3 pods:\n%s", len(answers), names, out)
	}
	for _, want := range []string{`(?m)^\S+ .*Running.* node1 `, `(?m)^\S+ .*Running.* node2 `, `Try next:`} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("does not print %s:\n%s", want, out)
		}
	}
}
