//go:build root

package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/musterhq/muster/integration/harness"
)

// now is the time as the members' logs have it.
func now() string { return time.Now().UTC().Format(time.StampMilli) }

// strict are writers through a cluster's one address that do not try again.
type strict struct {
	mu      sync.Mutex
	written int
	errs    []error
}

func (s *strict) note(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.errs = append(s.errs, fmt.Errorf("%s: %w", now(), err))
		return
	}
	s.written++
}

// viaClientGo creates ConfigMaps, over one connection as long as that lasts.
func (s *strict) viaClientGo(ctx context.Context, t *testing.T, c *harness.Cluster, worker int) {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig())
	if err != nil {
		t.Error(err)
		return
	}
	config.QPS, config.Timeout = -1, 10*time.Second
	// Every client has a transport of its own.
	config.Dial = (&net.Dialer{}).DialContext
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Error(err)
		return
	}
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("w%d-%d", worker, i)
		_, err := client.CoreV1().ConfigMaps("default").Create(context.WithoutCancel(ctx), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		s.note(err)
	}
}

// viaKubectl makes a new connection each time.
func (s *strict) viaKubectl(ctx context.Context, c *harness.Cluster) {
	for i := 0; ctx.Err() == nil; i++ {
		_, err := c.Kubectl(context.WithoutCancel(ctx), harness.OwnKubectl(), "", "create", "configmap", fmt.Sprintf("kubectl-%d", i))
		s.note(err)
	}
}

// endServer ends a dev cluster's server in order, and waits for its end.
func endServer(t *testing.T, c *harness.Cluster, name string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(c.Dir, "cluster.json"))
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		Members []struct {
			Name      string
			Processes []struct{ Pid int }
		}
	}
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	for _, m := range state.Members {
		if m.Name != name {
			continue
		}
		pid := m.Processes[0].Pid
		if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := eventually(t, func() error {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
			// Its first thread is a zombie while others are still ending.
			threads, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
			if err == nil && (!strings.Contains(string(stat), ") Z ") || len(threads) > 1) {
				return errorf("%s runs: %s", name, stat)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// startServer starts a dev cluster's server and waits until it is ready.
func startServer(t *testing.T, c *harness.Cluster, host byte) {
	t.Helper()
	if out, err := c.Dev(t.Context(), "start", fmt.Sprintf("server%d", host-10)); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := eventually(t, func() error {
		_, err := c.Kubectl(t.Context(), harness.OwnKubectl(), "", "--server", "https://"+addressOf(t, c, host)+":6443", "get", "--raw", "/readyz")
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// Every server is restarted, one after the other. No client sees an error.
func TestRollingRestartFailsNoWrite(t *testing.T) {
	c := ownCluster(t, "roll", 3, 0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s := &strict{}
	var writing sync.WaitGroup
	for worker := range 3 {
		writing.Go(func() { s.viaClientGo(ctx, t, c, worker) })
	}
	writing.Go(func() { s.viaKubectl(ctx, c) })
	for range 2 {
		for host := byte(11); host <= 13; host++ {
			server := fmt.Sprintf("server%d", host-10)
			t.Logf("%s: %s is to end", now(), server)
			endServer(t, c, server)
			t.Logf("%s: %s has ended", now(), server)
			startServer(t, c, host)
		}
	}
	cancel()
	writing.Wait()
	t.Logf("%d writes", s.written)
	if len(s.errs) > 0 {
		log, err := os.ReadFile(filepath.Join(c.Dir, "logs", "balancer.log"))
		t.Errorf("%d of %d writes failed: %v\nThe balancer: %v\n%s", len(s.errs), s.written, s.errs[:min(5, len(s.errs))], err, log)
	}
	if s.written < 100 {
		t.Errorf("only %d writes", s.written)
	}
}

// Two of three servers are lost. The third goes on alone, and the others, should
// they come back, do not.
func TestRecoverFromALostMajority(t *testing.T) {
	c := ownCluster(t, "lost", 3, 0)
	kubectl := func(args ...string) (string, error) {
		return c.Kubectl(t.Context(), harness.OwnKubectl(), "", append([]string{"--request-timeout=10s"}, args...)...)
	}
	dev := func(verb, member string) {
		t.Helper()
		if out, err := c.Dev(t.Context(), verb, member); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	recoverServer := func(args ...string) (string, error) {
		return harness.Run(t.Context(), "", harness.Muster(), append([]string{"server", "recover", "--data-dir", filepath.Join(c.Dir, "server1")}, args...)...)
	}
	const sure = "--yes-i-know-that-writes-may-be-lost"
	if _, err := kubectl("create", "configmap", "before"); err != nil {
		t.Fatal(err)
	}
	out, err := recoverServer(sure)
	refusal(t, out, err, "in use by another process", "is this server running already?")
	dev("kill", "server1")
	out, err = recoverServer(sure)
	refusal(t, out, err, "the cluster has a leader, server", "there is nothing to recover")

	dev("kill", "server2")
	dev("kill", "server3")
	out, err = recoverServer()
	refusal(t, out, err, "ends at entry", "The other members are server2, server3", "nothing was changed", sure)
	if out, err := recoverServer(sure); err != nil || !strings.Contains(out, "is the only member now, in epoch 1") {
		t.Fatalf("recover: %v\n%s", err, out)
	}
	if copies, _ := filepath.Glob(filepath.Join(c.Dir, "server1", "raft.before-recovery-*", "member.json")); len(copies) != 1 {
		t.Errorf("copies of before: %v", copies)
	}
	startServer(t, c, 11)
	if _, err := kubectl("get", "configmap", "before"); err != nil {
		t.Error(err)
	}
	if _, err := kubectl("create", "configmap", "after"); err != nil {
		t.Error(err)
	}

	// The old majority does not come back.
	for _, name := range []string{"server2", "server3"} {
		if out, err := c.Dev(t.Context(), "start", name); err != nil {
			refusal(t, out, err, "to join again, move")
		}
		endsSaying(t, c, name, "to join again, move")
	}
	// With a new directory and a token it joins.
	machine3 := &machine{namespace: "muster-" + c.Name + ".server3"}
	server3 := machine3.start(t, harness.Muster(), "server", "--name", "server3", "--advertise-address", addressOf(t, c, 13),
		"--data-dir", filepath.Join(t.TempDir(), "server3"), "--join", token(t, c, "--role", "server"))
	server3.says(t, "server is ready")
	members, err := harness.Run(t.Context(), "", harness.Muster(), "members", "--kubeconfig", c.Kubeconfig())
	if err != nil || strings.Count(members, "healthy") != 2 || strings.Contains(members, "server2") || leaderOf(t, members) != "server1" {
		t.Errorf("members: %v\n%s", err, members)
	}
	for _, name := range []string{"before", "after"} {
		if _, err := kubectl("--server", "https://"+addressOf(t, c, 13)+":6443", "get", "configmap", name); err != nil {
			t.Error(err)
		}
	}
}
