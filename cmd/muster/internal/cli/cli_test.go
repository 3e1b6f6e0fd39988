package cli_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/musterhq/muster/cmd/muster/internal/cli"
)

func run(args ...string) (code int, out, errOut string) {
	var stdout, stderr bytes.Buffer
	code = cli.Main(args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestMistakes(t *testing.T) {
	t.Setenv("KUBECONFIG", "/none")
	tests := []struct {
		args []string
		code int
		want string
	}{
		{[]string{"dev", "up", "--no-such-flag"}, 2, "See `muster dev up --help`"},
		{[]string{"dev", "kill"}, 2, "muster dev kill needs MEMBER, got []"},
		{[]string{"dev", "exec", "node1"}, 2, `muster dev exec needs MEMBER -- COMMAND [ARGUMENT...], got ["node1"]`},
		{[]string{"token", "user"}, 2, "muster token user needs NAME"},
		{[]string{"image", "load"}, 2, "muster image load needs FILE.tar..."},
		{[]string{"image", "pack", "--image", "a:b"}, 2, "(--file or --base)"},
		{[]string{"dev", "kill", "server1", "--name", "none"}, 1, "start one with `muster dev up --name none`"},
		{[]string{"dev", "up", "--servers", "2"}, 1, "choose 1, 3, 5"},
		{[]string{"token", "create"}, 1, "--kubeconfig"},
		{[]string{"token", "create", "--role", "king"}, 2, "choose node, server, scheduler or controller-manager"},
		{[]string{"server", "--log-level", "chatty"}, 2, "choose debug, info"},
		{[]string{"server", "--data-dir", "/none/x", "--advertise-address", "here"}, 1, "--advertise-address"},
		{[]string{"no-such-command"}, 2, "unknown command"},
		{[]string{"sever"}, 2, "did you mean `muster server`?"},
		{[]string{"dev", "upp"}, 2, "did you mean `muster dev up`?"},
		{[]string{"token", "list"}, 2, `unknown command "list" for "muster token"`},
		{[]string{"server", "--jion", "x"}, 2, "did you mean `--join`?"},
		{[]string{"agent", "--nodeip=1"}, 2, "unknown flag: --nodeip; did you mean `--node-ip`?"},
		{[]string{"agent", "--join", "x", "--proxy-mode", "bogus"}, 2, `--proxy-mode "bogus": choose auto, ipvs or nftables`},
		{[]string{"agent", "--join", "x", "--overlay", "foo"}, 2, `--overlay "foo": choose vxlan or routes`},
		{[]string{"server", "--join", ""}, 2, "the token is empty"},
		{[]string{"scheduler", "--join", "x", "--join-file", "y"}, 2, "give one of them"},
		{[]string{"scheduler", "--data-dir", "/none/x", "--join-file", "/none/y"}, 1, "`muster token create --out-dir DIR` writes such a file"},
		{[]string{"token", "create", "--out-dir", "x"}, 2, "say for which roles, with --role"},
		{[]string{"kubeconfig"}, 2, "--output: say which file to write"},
		{[]string{"kubeconfig", "-o", "x", "--server", "10.0.0.1:6443"}, 2, "give https://HOST:PORT"},
		{[]string{"health", "--data-dir", "/none/x"}, 1, "load membership"},
		{[]string{"init", "extra"}, 2, `muster init takes no arguments, got "extra"`},
	}
	for _, test := range tests {
		code, _, errOut := run(test.args...)
		if code != test.code || !strings.Contains(errOut, test.want) {
			t.Errorf("%v: %d %s, want %d %q", test.args, code, errOut, test.code, test.want)
		}
	}
}

func TestHelpTeaches(t *testing.T) {
	code, out, _ := run("--help")
	if code != 0 || !strings.Contains(out, "muster dev up") || !strings.Contains(out, "muster agent --join TOKEN") {
		t.Errorf("%d %s", code, out)
	}
	if strings.Contains(out, "container-log") {
		t.Error("a command that only containerd calls is shown")
	}
	if code, out, _ := run("version"); code != 0 || !strings.HasPrefix(out, "muster v") {
		t.Errorf("version: %d %s", code, out)
	}
}

// A service needs a token of its role, and a directory of its own.
func TestServicesApart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "server")
	at := []string{"--data-dir", dir, "--name", "s1", "--advertise-address", "127.0.0.1"}
	if code, _, errOut := run(append([]string{"init"}, at...)...); code != 0 {
		t.Fatal(errOut)
	}
	for _, name := range []string{"scheduler", "controller-manager"} {
		_, _, errOut := run(append([]string{name}, at...)...)
		if want := dir + " belongs to a node or a server, s1: choose another --data-dir"; !strings.Contains(errOut, want) {
			t.Errorf("%s in a server's directory: %s, want %q", name, errOut, want)
		}
		_, _, errOut = run(name, "--data-dir", t.TempDir(), "--advertise-address", "127.0.0.1")
		if want := "give a token with --join (`muster token create --role " + name + "` on a server prints one)"; !strings.Contains(errOut, want) {
			t.Errorf("%s without a token: %s, want %q", name, errOut, want)
		}
		if _, out, _ := run(name, "--help"); !strings.Contains(out, "muster token create --role "+name) {
			t.Errorf("help of %s:\n%s", name, out)
		}
	}
}

// waiter writes a file once the program has said that it waits for one.
type waiter struct {
	bytes.Buffer
	file string
}

func (w *waiter) Write(said []byte) (int, error) {
	if bytes.Contains(said, []byte("waiting until the token's file is there")) {
		if err := os.WriteFile(w.file, []byte("garbled\n"), 0o600); err != nil {
			return 0, err
		}
	}
	return w.Buffer.Write(said)
}

// A token may come after the one who waits for it.
func TestJoinFileIsWaitedFor(t *testing.T) {
	dir := t.TempDir()
	w := &waiter{file: filepath.Join(dir, "token")}
	code := cli.Main([]string{"scheduler", "--data-dir", filepath.Join(dir, "data"), "--advertise-address", "127.0.0.1", "--join-file", w.file}, io.Discard, w)
	if code != 1 || !strings.Contains(w.String(), "not a join token") {
		t.Errorf("%d %s", code, w)
	}
}

func TestInit(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "server")
	args := []string{"init", "--data-dir", dir, "--name", "s1", "--advertise-address", "127.0.0.1"}
	if code, out, errOut := run(args...); code != 0 || !strings.Contains(out, "export KUBECONFIG="+dir+"/kubeconfig") {
		t.Fatalf("%d %s %s", code, out, errOut)
	}
	for _, name := range []string{"membership.json", "kubeconfig", "pki/ca.key", "pki/server.key", "pki/scheduler.key", "pki/controller-manager.key", "pki/service-account.key"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	before, err := os.ReadFile(filepath.Join(dir, "pki", "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := run(args...); code != 1 || !strings.Contains(errOut, "holds a server's identity already") {
		t.Errorf("a second time: %d %s", code, errOut)
	}
	// What is damaged is not to be replaced.
	if err := os.Remove(filepath.Join(dir, "membership.json")); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{args, append([]string{"server"}, args[1:]...)} {
		if code, _, errOut := run(args...); code != 1 || !strings.Contains(errOut, "membership.json is missing: restore that file") {
			t.Errorf("without its membership: %d %s", code, errOut)
		}
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "pki", "ca.crt")); !bytes.Equal(before, after) {
		t.Error("the CA was made anew")
	}
}

func TestRunsServer(t *testing.T) {
	for line, want := range map[string]bool{
		"server":                        true,
		"server --data-dir /x --join y": true,
		"apiserver --log-level debug":   true,
		"server recover":                false,
		"agent --join x":                false,
		"dev enter -- /x/muster server": false,
		"scheduler --join x":            false,
		"sever":                         false,
		"":                              false,
	} {
		if got := cli.RunsServer(strings.Fields(line)); got != want {
			t.Errorf("%q: %t, want %t", line, got, want)
		}
	}
}
