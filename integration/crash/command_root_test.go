//go:build root

package crash_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/internal/failpoint"
)

// endTimeout bounds a command that is to end.
const endTimeout = 30 * time.Second

const address = "10.90.0.1"

// machine is a network namespace in which servers listen.
type machine struct {
	t         *testing.T
	namespace string
	dir       string
	hit       map[string]bool
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	if err := harness.RequireRoot(); err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, namespace: fmt.Sprintf("crash%d", os.Getpid()), dir: t.TempDir(), hit: map[string]bool{}}
	m.ip("netns", "add", m.namespace)
	t.Cleanup(func() { m.ip("netns", "del", m.namespace) })
	for _, command := range []string{
		"link set lo up", "link add eth0 type veth peer name eth1", "link set eth1 up", "addr add " + address + "/24 dev eth0", "link set eth0 up",
	} {
		m.ip(append([]string{"-n", m.namespace}, strings.Fields(command)...)...)
	}
	return m
}

func (m *machine) ip(args ...string) {
	m.t.Helper()
	if _, err := harness.Run(context.Background(), "", "ip", args...); err != nil {
		m.t.Fatal(err)
	}
}

// command is muster on the machine, with a point armed if one is named.
func (m *machine) command(ctx context.Context, armed string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "nsenter", append([]string{"--net=/run/netns/" + m.namespace, "--", harness.Muster()}, args...)...)
	cmd.Env = append(os.Environ(), failpoint.Variable+"="+armed)
	return cmd
}

// muster runs a command to its end.
func (m *machine) muster(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(m.t.Context(), endTimeout)
	defer cancel()
	out, err := m.command(ctx, "", args...).CombinedOutput()
	return string(out), err
}

func (m *machine) must(args ...string) {
	m.t.Helper()
	if out, err := m.muster(args...); err != nil {
		m.t.Fatalf("muster %v: %v\n%s", args, err, out)
	}
}

// dies runs a command that ends at a point.
func (m *machine) dies(point string, args ...string) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), endTimeout)
	defer cancel()
	cmd := m.command(ctx, point, args...)
	out, _ := cmd.CombinedOutput()
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() || status.Signal() != syscall.SIGKILL || !strings.HasSuffix(string(out), failpoint.Said(point)) {
		m.t.Fatalf("muster %v did not end at %s: %v\n%s", args, point, cmd.ProcessState, out)
	}
	m.hit[point] = true
}

// runs starts a server, waits until it serves, and ends it when use returns.
func (m *machine) runs(dir string, use func()) {
	m.t.Helper()
	var log buffer
	cmd := m.command(context.Background(), "", "server", "--name", "s", "--advertise-address", address, "--data-dir", dir)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(endTimeout, func() { _ = cmd.Process.Kill() })
		defer late.Stop()
		_ = cmd.Wait() // a server that could not end is not what this is about
	}()
	if err := harness.Eventually(m.t.Context(), endTimeout, func() error {
		if said := log.String(); !strings.Contains(said, "server is ready") {
			return fmt.Errorf("the server of %s is not ready:\n%s", dir, said)
		}
		return nil
	}); err != nil {
		m.t.Fatal(err)
	}
	use()
}

// buffer is what a process says.
type buffer struct {
	mu  sync.Mutex
	out bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.out.String()
}

// The command is ended at each of its points, and then what it did is done again.
func TestCommandsThatEndInTheMiddle(t *testing.T) {
	m := newMachine(t)
	t.Run("init", func(t *testing.T) { m.t = t; m.init() })
	m.t = t
	file := filepath.Join(m.dir, "saved.snap")
	t.Run("server and save", func(t *testing.T) { m.t = t; m.save(file) })
	m.t = t
	t.Run("restore", func(t *testing.T) { m.t = t; m.restore(file) })
	m.t = t
	t.Run("recover", func(t *testing.T) { m.t = t; m.recovery() })
	m.t = t
	for _, prefix := range []string{"server/", "backup/"} {
		for _, p := range failpoint.Points(prefix) {
			if !m.hit[p.Name] {
				t.Errorf("nothing came to %s, where %s", p.Name, p.What)
			}
		}
	}
}

// init: what was begun is made again, or it is said what to do about it.
func (m *machine) init() {
	for i, p := range failpoint.Points("server/init/") {
		dir := filepath.Join(m.dir, fmt.Sprintf("init%d", i))
		args := []string{"init", "--name", "s", "--advertise-address", address, "--data-dir", dir}
		m.dies(p.Name, args...)
		if out, err := m.muster(args...); err != nil {
			if !strings.Contains(out, "move the whole directory away to begin anew") {
				m.t.Errorf("after %s it does not say what to do: %v\n%s", p.Name, err, out)
			}
			if err := os.Rename(dir, dir+".old"); err != nil {
				m.t.Fatal(err)
			}
			m.must(args...)
		}
	}
}

// save ends a server at the points of its first start, and then backups of it.
func (m *machine) save(file string) {
	for i, point := range []string{"server/started", "server/entered"} {
		dir := filepath.Join(m.dir, fmt.Sprintf("server%d", i))
		m.dies(point, "server", "--name", "s", "--advertise-address", address, "--data-dir", dir)
		m.runs(dir, func() {
			if i > 0 {
				return
			}
			save := []string{"snapshot", "save", file, "--kubeconfig", filepath.Join(dir, "kubeconfig")}
			for round := range 2 { // without a file of before, and with one
				for _, p := range failpoint.Points("backup/save/") {
					if round == 0 {
						_ = os.Remove(file)
					}
					m.dies(p.Name, save...)
					if _, err := os.Stat(file); err == nil {
						m.must("snapshot", "inspect", file)
					} else if round > 0 {
						m.t.Errorf("after %s the file of before is gone: %v", p.Name, err)
					}
				}
				m.must(save...)
			}
		})
	}
}

// restore: the directory is there whole, or not at all.
func (m *machine) restore(file string) {
	for i, p := range append(failpoint.Points("backup/restore/"), failpoint.Points("server/restore/")...) {
		dir := filepath.Join(m.dir, fmt.Sprintf("restored%d", i))
		args := []string{"snapshot", "restore", file, "--name", "s", "--advertise-address", address, "--data-dir", dir}
		m.dies(p.Name, args...)
		if out, err := m.muster(args...); err != nil && !strings.Contains(out, "it is not empty") {
			m.t.Errorf("after %s: %v\n%s", p.Name, err, out)
		}
		if left, err := filepath.Glob(dir + ".*"); len(left) > 0 || err != nil {
			m.t.Errorf("after %s: %v is left, %v", p.Name, left, err)
		}
		m.runs(dir, func() {})
	}
}

// recovery ends the recovery from a lost majority. The server can be started then.
func (m *machine) recovery() {
	short, err := os.MkdirTemp("", "m") // sockets' paths are short
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = os.RemoveAll(short) })
	c, err := harness.Up(m.t.Context(), fmt.Sprintf("crash%d", os.Getpid()), filepath.Join(short, "c"), 3, 0)
	m.t.Cleanup(func() {
		if err := c.Down(context.Background()); err != nil {
			m.t.Error(err)
		}
	})
	if err != nil {
		m.t.Fatal(err)
	}
	dev := func(verb, member string) {
		m.t.Helper()
		if out, err := c.Dev(m.t.Context(), verb, member); err != nil {
			m.t.Fatalf("%v\n%s", err, out)
		}
	}
	dev("kill", "server1")
	dev("kill", "server2")
	dev("kill", "server3")
	whole := filepath.Join(c.Dir, "server1")
	for _, p := range failpoint.Points("server/recover/") {
		if out, err := exec.Command("cp", "-a", whole, whole+".before").CombinedOutput(); err != nil {
			m.t.Fatalf("%v: %s", err, out)
		}
		args := []string{"server", "recover", "--data-dir", whole, "--yes-i-know-that-writes-may-be-lost"}
		m.dies(p.Name, args...)
		if out, err := m.muster(args...); err == nil || !strings.Contains(out, "only member of its cluster already: start it") {
			m.t.Errorf("after %s: %v\n%s", p.Name, err, out)
		}
		dev("start", "server1")
		if err := harness.Eventually(m.t.Context(), endTimeout, func() error {
			_, err := harness.Run(m.t.Context(), "", harness.Muster(), "members", "--kubeconfig", c.Kubeconfig())
			return err
		}); err != nil {
			m.t.Errorf("after %s: %v", p.Name, err)
		}
		dev("kill", "server1")
		if err := os.RemoveAll(whole); err != nil {
			m.t.Fatal(err)
		}
		if err := os.Rename(whole+".before", whole); err != nil {
			m.t.Fatal(err)
		}
	}
}
