package dev

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAddressesAndNamesFit(t *testing.T) {
	c := newCluster("twenty-letters-name1", "/d", 9, 99)
	c.setIndex(254)
	seen := map[string]bool{}
	for _, m := range c.Members {
		if len(c.veth(m)) >= unix.IFNAMSIZ {
			t.Errorf("device name %s is too long", c.veth(m))
		}
		if !c.gateway().Contains(m.IP) || m.IP == c.gateway().Addr() || seen[m.IP.String()] {
			t.Errorf("%s has address %s", m.Name, m.IP)
		}
		mac := hardwareAddress(m.IP)
		if len(mac) != 6 || mac[0]&3 != 2 || seen[mac.String()] {
			t.Errorf("%s has hardware address %s", m.Name, mac)
		}
		seen[m.IP.String()], seen[mac.String()] = true, true
	}
	if len(c.bridge()) >= unix.IFNAMSIZ {
		t.Errorf("bridge name %s is too long", c.bridge())
	}
}

func TestFind(t *testing.T) {
	c := newCluster("c", "/d", 1, 1)
	tests := []struct{ target, member, process, err string }{
		{"server1", "server1", "", ""},
		{"node1", "node1", "", ""},
		{"node1/agent", "node1", "agent", ""},
		{"server1/server", "server1", "server", ""},
		{"server1/agent", "", "", `server1 has no process "agent"`},
		{"node2", "", "", `no member "node2"; it has server1, node1`},
	}
	for _, test := range tests {
		m, process, err := c.find(test.target)
		switch {
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s: %v, want %q", test.target, err, test.err)
		case test.err == "" && (err != nil || m.Name != test.member || process != test.process):
			t.Errorf("%s: %v %q %v", test.target, m, process, err)
		}
	}
}

func TestDirOf(t *testing.T) {
	if dir, err := DirOf("dev", ""); err != nil || dir != "/var/lib/muster-dev/dev" {
		t.Errorf("default: %s, %v", dir, err)
	}
	for _, bad := range [][2]string{{"Dev", ""}, {"a_b", ""}, {"", ""}, {"../x", ""}, {"dev", "/" + strings.Repeat("x", 80)}} {
		if dir, err := DirOf(bad[0], bad[1]); err == nil {
			t.Errorf("%v: %s", bad, dir)
		}
	}
}

func TestProcessIsNotAnotherOfItsNumber(t *testing.T) {
	stat, err := readStat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if got := (Process{Pid: os.Getpid(), StartTime: stat.startTime}).state(); got != "running" {
		t.Errorf("this process is %s", got)
	}
	if got := (Process{Pid: os.Getpid(), StartTime: stat.startTime + 1}).state(); got != "dead" {
		t.Errorf("one that had this number is %s", got)
	}
	if got := (Process{}).state(); got != "dead" {
		t.Errorf("one never started is %s", got)
	}
}

func TestUnescape(t *testing.T) {
	if got := unescape(`/a\040b\134c`); got != `/a b\c` {
		t.Errorf("unescaped %q", got)
	}
}

func TestStateSurvives(t *testing.T) {
	c := newCluster("c", t.TempDir(), 3, 2)
	c.setIndex(7)
	c.Members[0].Processes = []Process{{Name: "server", Pid: 1, StartTime: 2}}
	if err := c.save(); err != nil {
		t.Fatal(err)
	}
	got, err := load(c.dir)
	if err != nil || len(got.Members) != 5 || got.Members[4].IP != c.Members[4].IP || got.Members[0].Processes[0].StartTime != 2 {
		t.Errorf("loaded %+v, %v", got, err)
	}
	if _, _, err := Open("none", t.TempDir()+"/none"); err == nil || !strings.Contains(err.Error(), "muster dev up") {
		t.Errorf("a cluster that is not there: %v", err)
	}
}

// Why a node is not ready may be long; it is said once, below the table.
func TestStatusSaysOnceWhyANodeIsNotReady(t *testing.T) {
	c := newCluster("c", t.TempDir(), 1, 1)
	c.setIndex(254)
	c.Members[0].Processes = []Process{{Name: "server"}}
	c.Members[1].Processes = []Process{{Name: "containerd"}, {Name: "agent"}}
	var out bytes.Buffer
	why := "ContainerRuntimeNotReady: " + strings.Repeat("x", 400)
	if err := c.printMembers(&out, map[string]verdict{"server1": {ready: "yes"}, "node1": {"no", why}}); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); strings.Count(s, why) != 1 || !strings.Contains(s, "\nnode1 is not ready: "+why+"\n") || strings.Count(s, "  no\n") != 2 || strings.Count(s, "  yes\n") != 1 {
		t.Errorf("status says\n%s", s)
	}
}

// Whoever may not read a cluster is told what to do.
func TestOpenNeedsRoot(t *testing.T) {
	c := newCluster("c", t.TempDir(), 1, 0)
	if err := c.save(); err != nil {
		t.Fatal(err)
	}
	_, unlock, err := Open("c", c.dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	// The directory of a test is closed to others.
	if err := os.Chmod(filepath.Dir(c.dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, closed := range []string{c.dir, filepath.Join(c.dir, stateFile)} {
		if err := os.Chmod(closed, 0); err != nil {
			t.Fatal(err)
		}
		refused := make(chan error)
		go func() {
			// The tests may be run as root: this thread, which ends with the
			// goroutine, sees files as another user does.
			runtime.LockOSThread()
			_, _ = unix.SetfsuidRetUid(65534)
			_, _, err := Open("c", c.dir)
			refused <- err
		}()
		if err := <-refused; err == nil || !strings.Contains(err.Error(), "needs root: run it with sudo") || !strings.Contains(err.Error(), "open "+closed+":") {
			t.Errorf("without a right to %s: %v", closed, err)
		}
		if err := os.Chmod(closed, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAreReady(t *testing.T) {
	for n, want := range map[int]string{0: "0 servers are ready", 1: "1 server is ready", 3: "3 servers are ready"} {
		if got := areReady(n, "server"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, servers := range []int{0, 2, 4, 11} {
		if err := (Options{Servers: servers, Nodes: 1}).check(); err == nil || !strings.Contains(err.Error(), "choose") {
			t.Errorf("%d servers: %v", servers, err)
		}
	}
	var out bytes.Buffer
	c := newCluster("c", "/d", 1, 1)
	c.sayNext(&out)
	if !strings.Contains(out.String(), "export KUBECONFIG=/d/kubeconfig") {
		t.Errorf("says %s", out.String())
	}
}

// What is told to be run must work as it stands, wherever the cluster is.
func TestCommandsNameTheDirectory(t *testing.T) {
	for dir, want := range map[string]string{
		"/var/lib/muster-dev/a": "muster dev down --name a",
		"/elsewhere":            "muster dev down --name a --data-dir /elsewhere",
	} {
		if got := commandFor("down", "a", dir); got != want {
			t.Errorf("%s: %s, want %s", dir, got, want)
		}
	}
	var out bytes.Buffer
	c := newCluster("a", "/elsewhere", 1, 0)
	c.sayNext(&out)
	if n := strings.Count(out.String(), "--data-dir /elsewhere"); n != 3 {
		t.Errorf("directory named %d times:\n%s", n, &out)
	}
}

// A removal takes the whole directory, so it must be the cluster's own.
func TestRemovalSparesOthersFiles(t *testing.T) {
	others := t.TempDir()
	if err := os.WriteFile(filepath.Join(others, "thesis"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ours := newCluster("a", t.TempDir(), 1, 0)
	if err := ours.save(); err != nil {
		t.Fatal(err)
	}
	stateless := t.TempDir() // of a cluster whose state was lost
	for _, name := range []string{"logs", "server1", "node12", "kubeconfig"} {
		if err := os.Mkdir(filepath.Join(stateless, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	mixed := t.TempDir()
	for _, name := range []string{"server1", "thesis"} {
		if err := os.Mkdir(filepath.Join(mixed, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	absent := filepath.Join(t.TempDir(), "none")
	for _, test := range []struct{ name, dir, err string }{
		{"a", others, "is not a cluster's"},
		{"a", mixed, "is not a cluster's"},
		{"b", ours.dir, "belongs to cluster a"},
		{"a", stateless, ""},
		{"a", ours.dir, ""},
		{"a", t.TempDir(), ""},
		{"a", absent, ""},
	} {
		c, err := forRemoval(test.name, test.dir)
		if test.err == "" && (err != nil || c.Name != test.name || c.dir != test.dir) || test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)) {
			t.Errorf("%s at %s: %v, %v, want %q", test.name, test.dir, c, err, test.err)
		}
	}
	if err := ours.removeDirectory(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ours.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the removal: %v", err)
	}
	// Nor may a cluster be made where its removal would take more with it.
	if err := refuseFull(others); err == nil {
		t.Error("a directory with files in it was accepted")
	}
}
