//go:build compose

package compose_test

import (
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

// member is a line of `muster members`.
type member struct{ name, role, state string }

func members(t *testing.T) ([]member, error) {
	t.Helper()
	out, err := cluster.Muster(t.Context(), "members")
	if err != nil {
		return nil, err
	}
	var list []member
	for _, line := range strings.Split(out, "\n")[1:] {
		if fields := strings.Fields(line); len(fields) > 3 {
			list = append(list, member{fields[0], fields[1], fields[2]})
		}
	}
	return list, nil
}

// whole waits until three apiservers are healthy, and returns who leads.
func whole(t *testing.T) (leader string) {
	t.Helper()
	eventually(t, func() error {
		list, err := members(t)
		healthy := 0
		leader = ""
		for _, m := range list {
			if m.state == "healthy" {
				healthy++
			}
			if m.role == "leader" {
				leader = m.name
			}
		}
		if healthy != 3 || len(list) != 3 || leader == "" {
			return fmt.Errorf("%v, %w", list, err)
		}
		return nil
	})
	return leader
}

func TestClusterIsWhole(t *testing.T) {
	whole(t)
	if out := kubectl(t, "get", "nodes", "--no-headers"); strings.Count(out, " Ready ") != 3 {
		t.Errorf("nodes:\n%s", out)
	}
	if server := kubectl(t, "config", "view", "-o", "jsonpath={.clusters[0].cluster.server}"); !strings.HasPrefix(server, "https://127.0.0.1:") {
		t.Errorf("kubectl calls %s, not this machine", server)
	}
	// Who has the role of a token has that one, and no other.
	for _, container := range []string{"apiserver2", "scheduler1", "controller-manager1", "node1"} {
		mounts := docker(t, "inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", harness.Container(container))
		if strings.Count(mounts, "token-") != 1 {
			t.Errorf("%s sees %s", container, mounts)
		}
	}
}

// TestExamples runs the examples: the Service is asked by its address, its name and its
// port of each node.
func TestExamples(t *testing.T) {
	archives, err := filepath.Glob(filepath.Join(harness.Root(), "build", "images", "*.tar"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("no images: %v", err)
	}
	must(t)(cluster.Muster(t.Context(), append([]string{"image", "load"}, archives...)...))
	kubectl(t, "apply", "-f", filepath.Join(harness.Root(), "deploy", "examples"))
	kubectl(t, "rollout", "status", "deployment/whoami-deployment", limit(time.Minute))
	kubectl(t, "wait", "--for=condition=Ready", "pod", "--all", limit(time.Minute))
	if nodes := kubectl(t, "get", "pods", "-l", "app=whoami", "-o", "jsonpath={.items[*].spec.nodeName}"); len(strings.Fields(nodes)) != 3 {
		t.Errorf("pods run on %s", nodes)
	}
	address := kubectl(t, "get", "service", "whoami-clusterip", "-o", "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}")
	answers := map[string]bool{}
	for _, node := range []string{"node1", "node2", "node3"} {
		for range 3 {
			answers[curlFrom(t, node, "http://"+address+"/")] = true
		}
		ip := kubectl(t, "get", "node", node, "-o", "jsonpath={.status.addresses[0].address}")
		must(t)(harness.Output(t.Context(), "env", curl("http://"+ip+":30000/")...))
	}
	if len(answers) != 3 {
		t.Errorf("three nodes got answers %v, want one of each of three pods", answers)
	}
	asked := kubectl(t, "run", "asker", "--image", "busybox", "--restart", "Never", "--command", "--",
		"wget", "-qO-", "http://whoami-clusterip.default.svc.cluster.local:8080/")
	eventually(t, func() error {
		out, err := cluster.Kubectl(t.Context(), "logs", "asker")
		if err == nil && !strings.Contains(out, "I'm whoami-deployment-") {
			err = fmt.Errorf("%s the pod says %q", asked, out)
		}
		return err
	})
	kubectl(t, "delete", "pod", "asker")
	if *ipvs {
		t.Run("IPVS", servicesByIPVS)
	}
}

// servicesByIPVS looks at what the kernel of each node has for the Service of the
// examples: a virtual server with three real ones.
func servicesByIPVS(t *testing.T) {
	var address string
	if _, err := fmt.Sscan(kubectl(t, "get", "service", "whoami-clusterip", "-o", "jsonpath={.spec.clusterIP}"), &address); err != nil {
		t.Fatal(err)
	}
	server := fmt.Sprintf("TCP  %X:1F90", []byte(net.ParseIP(address).To4())) // port 8080
	for _, node := range []string{"node1", "node2", "node3"} {
		table := docker(t, "exec", harness.Container(node), "cat", "/proc/net/ip_vs")
		_, after, found := strings.Cut(table, server)
		real := 0
		for _, line := range strings.Split(after, "\n")[1:] {
			if !strings.HasPrefix(line, "  ->") {
				break
			}
			real++
		}
		if !found || real != 3 {
			t.Errorf("%s has %d real servers of %s, want 3:\n%s", node, real, server, table)
		}
	}
}

func curlFrom(t *testing.T, node, url string) string {
	t.Helper()
	return docker(t, append([]string{"exec", harness.Container(node)}, curl(url)...)...)
}

// TestLeaderIsKilled kills the leader's container: what was acknowledged stays, writes go
// on, and the container catches up when it is back.
func TestLeaderIsKilled(t *testing.T) {
	leader := whole(t)
	acknowledged := 0
	write := func() error {
		_, err := cluster.Kubectl(t.Context(), "create", "configmap", fmt.Sprintf("kept-%d", acknowledged), "--request-timeout="+patience(5*time.Second).String())
		if err == nil {
			acknowledged++
		}
		return err
	}
	for range 5 {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	docker(t, "kill", harness.Container(leader))
	killed := time.Now()
	eventually(t, write)
	t.Logf("the next write was acknowledged %v after %s was killed", time.Since(killed).Round(time.Millisecond), leader)
	for range 5 {
		if err := write(); err != nil {
			t.Error(err)
		}
	}
	if list, err := members(t); err != nil || strings.Count(fmt.Sprint(list), "healthy") != 2 {
		t.Errorf("members without %s: %v, %v", leader, list, err)
	}
	docker(t, "start", harness.Container(leader))
	whole(t)
	names := kubectl(t, "get", "configmaps", "-o", "name")
	for i := range acknowledged {
		if !strings.Contains(names, fmt.Sprintf("/kept-%d\n", i)) {
			t.Errorf("kept-%d was acknowledged and is gone", i)
		}
	}
	// It has its own copy: it answers alone, what it was not told while it was gone too.
	eventually(t, func() error {
		out := docker(t, "inspect", "--format", "{{.State.Health.Status}}", harness.Container(leader))
		if strings.TrimSpace(out) != "healthy" {
			return fmt.Errorf("%s is %s", leader, out)
		}
		return nil
	})
}

// TestLeadersOfServices kills the container of the scheduler that leads, and of the
// controller manager: the other one takes over, and pods are made and placed.
func TestLeadersOfServices(t *testing.T) {
	for i, service := range []string{"scheduler", "controller-manager"} {
		lease := "kube-" + service
		first := holder(t, lease)
		if ok, _ := regexp.MatchString("^"+service+"[12]$", first); !ok {
			t.Fatalf("%s is held by %q", lease, first)
		}
		docker(t, "kill", harness.Container(first))
		killed := time.Now()
		eventually(t, func() error {
			if now := holder(t, lease); now == first || now == "" {
				return fmt.Errorf("%s is still held by %q", lease, now)
			}
			return nil
		})
		t.Logf("another %s leads %v after %s was killed", service, time.Since(killed).Round(time.Millisecond), first)
		replicas := fmt.Sprint(4 + i)
		kubectl(t, "scale", "deployment", "whoami-deployment", "--replicas", replicas)
		kubectl(t, "rollout", "status", "deployment/whoami-deployment", limit(30*time.Second))
		docker(t, "start", harness.Container(first))
	}
	// Both of each run again, and one of each leads.
	for _, service := range []string{"scheduler1", "scheduler2", "controller-manager1", "controller-manager2"} {
		eventually(t, func() error {
			out := docker(t, "inspect", "--format", "{{.State.Health.Status}}", harness.Container(service))
			if strings.TrimSpace(out) != "healthy" {
				return fmt.Errorf("%s is %s", service, out)
			}
			return nil
		})
	}
}

// holder is the instance that leads by a Lease.
func holder(t *testing.T, lease string) string {
	t.Helper()
	name, _, _ := strings.Cut(kubectl(t, "get", "lease", "-n", "kube-system", lease, "-o", "jsonpath={.spec.holderIdentity}"), "@")
	return name
}

// TestNodeLosesPower kills a node's container: its endpoints leave the Service, and its
// pods run again once it is back.
func TestNodeLosesPower(t *testing.T) {
	node := kubectl(t, "get", "pods", "-l", "app=whoami", "-o", "jsonpath={.items[0].spec.nodeName}")
	ready := func(want string) func() error {
		return func() error {
			out, err := cluster.Kubectl(t.Context(), "get", "node", node, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
			if err == nil && out != want {
				err = fmt.Errorf("%s is Ready=%s, want %s", node, out, want)
			}
			return err
		}
	}
	docker(t, "kill", harness.Container(node))
	eventually(t, ready("Unknown"))
	docker(t, "start", harness.Container(node))
	eventually(t, ready("True"))
	kubectl(t, "rollout", "status", "deployment/whoami-deployment", limit(time.Minute))
	address := kubectl(t, "get", "service", "whoami-clusterip", "-o", "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}")
	eventually(t, func() error {
		_, err := cluster.Docker(t.Context(), append([]string{"exec", harness.Container(node)}, curl("http://"+address+"/")...)...)
		return err
	})
}
