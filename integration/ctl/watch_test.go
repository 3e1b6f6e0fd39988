//go:build root

package ctl_test

import (
	"bufio"
	"regexp"
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// testWatch follows one object through its life, as a table.
func testWatch(t *testing.T, c *cluster) {
	c.inBoth(t, func(t *testing.T, k harness.Kubectl) {
		watch := k.Command(t, "get", "configmaps", "--watch", "--output-watch-events", "--field-selector=metadata.name=a", "-L", "app")
		out, err := watch.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := watch.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = watch.Process.Kill(); _ = watch.Wait() }()
		lines := bufio.NewScanner(out)
		for _, life := range []struct{ do, header, line string }{
			{"create configmap a --from-literal=a=1", "^EVENT +NAME +DATA +AGE +APP *$", `^ADDED +a +1 +\d+s *$`},
			{"label configmap a app=web", "", `^MODIFIED +a +1 +\d+s +web *$`},
			{`patch configmap a --type=merge -p {"data":{"b":"2"}}`, "", `^MODIFIED +a +2 +\d+s +web *$`},
			{"label configmap a app-", "", `^MODIFIED +a +2 +\d+s *$`},
			{"delete configmap a", "", `^DELETED +a +2 +\d+s *$`},
		} {
			k.Do(t, harness.Step{Args: life.do})
			for _, want := range []string{life.header, life.line} {
				if want == "" {
					continue
				}
				if !lines.Scan() || !regexp.MustCompile(want).MatchString(lines.Text()) {
					t.Fatalf("%s: %q, want %s; %v", life.do, lines.Text(), want, lines.Err())
				}
			}
		}
	})
}
