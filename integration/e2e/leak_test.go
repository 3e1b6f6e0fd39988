//go:build root

package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
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
	t.Logf("before %v, after %v", before, count(t))
}

// slack allows what breathes (a connection that is being replaced and its
// goroutines), well below one per round.
func slack(what string) int {
	if strings.HasPrefix(what, "fds ") || strings.HasPrefix(what, "goroutines ") {
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
	for _, process := range []string{"server1-server", "server2-server", "server3-server", "node1-agent", "node2-agent"} {
		n["goroutines of "+process], n["fds of "+process] = vitals(t, process)
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

// vitals asks a process, by the signal that a person would use, and returns the
// goroutines and file descriptors that its log then tells.
func vitals(t *testing.T, process string) (goroutines, fds int) {
	t.Helper()
	log := filepath.Join(cluster.Dir, "logs", process+".log")
	before := vitalsIn(t, log)
	member, name, _ := strings.Cut(process, "-")
	if err := syscall.Kill(pidOf(t, member, name), syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if err := eventually(t, func() error {
		now := vitalsIn(t, log)
		if len(now) == len(before) {
			return errorf("%s has not answered", process)
		}
		goroutines, fds = now[len(now)-1][0], now[len(now)-1][1]
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return goroutines, fds
}

var vitalsLine = regexp.MustCompile(`msg=vitals.* goroutines=(\d+) fds=(\d+)`)

func vitalsIn(t *testing.T, log string) (found [][2]int) {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range vitalsLine.FindAllStringSubmatch(string(data), -1) {
		goroutines, _ := strconv.Atoi(m[1])
		fds, _ := strconv.Atoi(m[2])
		found = append(found, [2]int{goroutines, fds})
	}
	return found
}

// pidOf reads a process's id from dev status.
func pidOf(t *testing.T, member, process string) int {
	t.Helper()
	out, err := cluster.Dev(t.Context(), "status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 3 && f[0] == member && f[2] == process {
			pid, err := strconv.Atoi(f[3])
			if err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			return pid
		}
	}
	t.Fatalf("no %s of %s in\n%s", process, member, out)
	return 0
}
