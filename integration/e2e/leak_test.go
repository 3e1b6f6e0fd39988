//go:build root

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// rounds of applying, changing and deleting the examples.
const rounds = 20

func TestNothingLeaksOverTwentyRounds(t *testing.T) {
	round(t, "leak-warm") // caches, connections and pools that stay are made
	before := count(t)
	for i := range rounds {
		round(t, fmt.Sprintf("leak-%d", i))
	}
	if err := eventually(t, func() error {
		var grown []string
		for what, n := range count(t) {
			if n > before[what]+slack(what) {
				grown = append(grown, fmt.Sprintf("%s: %d → %d", what, before[what], n))
			}
		}
		if len(grown) > 0 {
			return errorf("grew over %d rounds: %s", rounds, strings.Join(grown, ", "))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// slack allows what breathes (a connection that is being replaced, a timer's
// goroutine), far below one per round.
func slack(what string) int {
	if strings.HasPrefix(what, "fds ") || strings.HasPrefix(what, "threads ") {
		return rounds / 2
	}
	return 0
}

func round(t *testing.T, namespace string) {
	t.Helper()
	kubectl(t, "create", "namespace", namespace)
	// Node ports are cluster-wide: the examples own 30000.
	kubectl(t, "-n", namespace, "apply", "-f", filepath.Join(harness.Root(), "deploy", "examples"))
	kubectl(t, "-n", namespace, "rollout", "status", "deployment/whoami-deployment", "--timeout=60s")
	kubectl(t, "-n", namespace, "set", "env", "deployment/whoami-deployment", "ROUND="+namespace)
	kubectl(t, "-n", namespace, "rollout", "status", "deployment/whoami-deployment", "--timeout=60s")
	deleteNamespace(t, namespace)
}

// count counts what could leak: on the machine, in every containerd, in every
// process of the cluster, and in the servers' rules.
func count(t *testing.T) map[string]int {
	t.Helper()
	foot, err := harness.Footprint()
	if err != nil {
		t.Fatal(err)
	}
	n := foot.Count()
	for _, p := range foot["processes"] {
		pid, command, _ := strings.Cut(p, " ")
		if !strings.Contains(command, cluster.Dir) && !strings.Contains(command, "dev") {
			continue
		}
		n["fds "+p] = entries("/proc/" + pid + "/fd")
		n["threads "+p] = entries("/proc/" + pid + "/task")
	}
	for _, node := range []string{"node1", "node2"} {
		for what, command := range map[string]string{
			"links":     "ip -o link | wc -l",
			"rules":     "nft list ruleset | wc -l",
			"routes":    "ip route show table all | wc -l",
			"snapshots": "ctr --address $(echo DIR/NODE/containerd/containerd.sock) -n muster snapshot ls | wc -l",
		} {
			command = strings.NewReplacer("DIR", cluster.Dir, "NODE", node).Replace(command)
			out, err := cluster.Exec(t.Context(), node, "sh", "-c", command)
			if err != nil {
				t.Fatal(err)
			}
			var value int
			if _, err := fmt.Sscan(strings.TrimSpace(out), &value); err != nil {
				t.Fatalf("%s: %q", command, out)
			}
			n[what+" of "+node] = value
		}
	}
	return n
}

func entries(dir string) int {
	list, err := os.ReadDir(dir)
	if err != nil {
		return 0 // the process ended
	}
	return len(list)
}
