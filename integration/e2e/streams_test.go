//go:build root

package e2e_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/harness"
)

// streamed is a pod that serves its own file and waits to be talked to.
const streamed = `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - {name: first, image: busybox, imagePullPolicy: IfNotPresent, command: [echo, prepared]}
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "mkdir /w; echo served >/w/index.html; httpd -p 8080 -h /w; echo up; trap 'exit 0' TERM; while :; do sleep 1 & wait; done"]
    ports: [{containerPort: 8080}]
  - {name: side, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo beside; trap 'exit 0' TERM; while :; do sleep 1 & wait; done"]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
`

// streamSteps are what kubectl does by streams.
var streamSteps = []harness.Step{
	{Args: "create namespace NS", Want: `created`},
	{Args: "-n NS apply -f -", Stdin: streamed, Want: `pod/web created`},
	{Args: "-n NS wait --for=condition=Ready pod/web --timeout=60s", Want: `condition met`},
	{Args: "-n NS exec web -c main -- echo hello", Want: `^hello\n$`},
	{Args: "-n NS exec -i web -c main -- sh -c 'cat; echo out; echo err >&2'", Stdin: "in\n", Want: `^(in\nout\nerr|in\nerr\nout|err\nin\nout)\n$`},
	{Args: "-n NS exec web -c main -- sh -c 'exit 42'", Fails: true, Want: `command terminated with exit code 42`},
	{Args: "-n NS exec web -c main -- nope", Fails: true, Want: `Internal error occurred: error executing command in container: failed to exec in container: failed to start exec "\S+": .*exec: "nope": executable file not found in \$PATH`},
	{Args: "-n NS run talk -i --rm --restart=Never --image=busybox --image-pull-policy=IfNotPresent -- cat", Stdin: "piped\n", Want: `piped\n`},
	{Args: "-n NS get pod talk", Fails: true, Want: `not found`, Retry: 20 * time.Second},
	{Args: "-n NS run fails -i --rm --restart=Never --image=busybox --image-pull-policy=IfNotPresent -- sh -c 'read x; exit 5'", Stdin: "x\n", Fails: true, Want: `terminated \(Error\)`},
	{Args: "-n NS logs web -c main", Want: `^up\n$`},
	{Args: "-n NS logs web -c first", Want: `^prepared\n$`},
	{Args: "-n NS logs web --all-containers", Want: `^(prepared\n|up\n|beside\n){3}$`},
	{Args: "-n NS logs web -c none", Fails: true, Want: `container none is not valid for pod web`},
	{Args: "-n NS logs web -c main --limit-bytes=2", Want: `^up$`},
	{Args: "-n NS logs web -c main --since=1h --timestamps", Want: `^\d{4}-\S+ up\n$`},
	{Args: "get --raw /api/v1/namespaces/NS/pods/web:8080/proxy/", Want: `^served\n$`},
	{Args: "get --raw /api/v1/namespaces/NS/services/http:web:http/proxy/index.html", Want: `^served\n$`, Retry: 20 * time.Second},
	{Args: "get --raw /api/v1/namespaces/NS/services/web:81/proxy/", Fails: true, Want: `no service port 81 found for service "web"`},
}

// debugSteps are what kubectl can do since 1.25.
var debugSteps = []harness.Step{
	{Args: "-n NS debug web --image=busybox --image-pull-policy=IfNotPresent --target=main -c look -- sh -c 'ps; cat /proc/1/root/w/index.html; sleep 1000'", Want: ``},
	{Args: "-n NS logs web -c look", Want: `(?s)httpd.*served`, Retry: 30 * time.Second},
	{Args: "-n NS debug web --copy-to=copy --image=busybox --image-pull-policy=IfNotPresent -c look -- sleep 1000", Want: ``},
	{Args: "-n NS wait --for=condition=Ready pod/copy --timeout=60s", Want: `condition met`},
	{Args: "-n NS exec copy -c look -- sh -c 'ps; kill -9 1; (sleep 0.1 &); sleep 0.5; grep -l ^State:.Z /proc/[0-9]*/status'", Fails: true, Want: `(?s) 1 65535 +/muster reap\n.*httpd`},
}

func TestStreams(t *testing.T) {
	for name, binary := range map[string]string{"debian": harness.DebianKubectl(), "own": harness.OwnKubectl()} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HOME", t.TempDir())
			t.Setenv("KUBECONFIG", cluster.Kubeconfig())
			namespace := "streams-" + name
			defer deleteNamespace(t, namespace)
			for _, s := range streamSteps {
				do(t, binary, namespace, s)
			}
			terminals(t, binary, namespace)
			copies(t, binary, namespace)
			forwards(t, binary, namespace)
			if name == "own" {
				for _, s := range debugSteps {
					do(t, binary, namespace, s)
				}
				survives(t, binary, namespace)
			}
		})
	}
}

// terminal runs kubectl in a terminal of 100 by 30 and types.
func terminal(t *testing.T, typed string, command ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "script", "-qefc", "stty rows 30 cols 100; exec "+strings.Join(command, " "), "/dev/null")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for line := range strings.Lines(typed) {
			<-time.After(3 * time.Second)
			_, _ = io.WriteString(in, line)
		}
	}()
	err = cmd.Wait()
	return out.String(), err
}

func terminals(t *testing.T, binary, namespace string) {
	t.Helper()
	for _, command := range []string{
		"exec -it web -c main -- sh",
		"run shell -it --rm --restart=Never --image=busybox --image-pull-policy=IfNotPresent -- sh",
	} {
		out, err := terminal(t, "echo $((6*7)); tty; stty size\nexit 7\n", append([]string{binary, "-n", namespace}, strings.Fields(command)...)...)
		var code *exec.ExitError
		if !errors.As(err, &code) || code.ExitCode() != 7 || !regexp.MustCompile(`(?s)42\r\n.*/dev/pts/0\r\n.*30 100`).MatchString(out) {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
}

// copies carries a file into the pod and back.
func copies(t *testing.T, binary, namespace string) {
	t.Helper()
	dir := t.TempDir()
	sent, back := filepath.Join(dir, "sent"), filepath.Join(dir, "back")
	data := make([]byte, 5<<20)
	_, _ = rand.Read(data)
	if err := os.WriteFile(sent, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{sent, namespace + "/web:/w/file"}, {namespace + "/web:/w/file", back}} {
		if out, err := cluster.Kubectl(t.Context(), binary, "", append([]string{"cp", "-c", "main"}, args...)...); err != nil {
			t.Fatalf("kubectl cp %v: %v\n%s", args, err, out)
		}
	}
	if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(data), err)
	}
}

// pipe is what a process writes, while it runs.
type pipe struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *pipe) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.String()
}

// start runs kubectl beside the test.
func start(t *testing.T, binary string, args ...string) (*exec.Cmd, *pipe) {
	t.Helper()
	cmd, out := exec.CommandContext(t.Context(), binary, args...), &pipe{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, out
}

func stop(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func forwards(t *testing.T, binary, namespace string) {
	t.Helper()
	cmd, out := start(t, binary, "-n", namespace, "port-forward", "pod/web", ":8080", ":9999")
	defer stop(cmd)
	var ports [][]string
	err := eventually(t, func() error {
		ports = regexp.MustCompile(`Forwarding from 127\.0\.0\.1:(\d+) -> (\d+)`).FindAllStringSubmatch(out.String(), -1)
		if len(ports) != 2 {
			return errorf("printed %q", out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		response, err := http.Get("http://127.0.0.1:" + ports[0][1] + "/")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if string(body) != "served\n" {
			t.Errorf("forwarded: %s", body)
		}
	}
	if response, err := http.Get("http://127.0.0.1:" + ports[1][1] + "/"); err == nil {
		response.Body.Close()
		t.Error("a port where nobody listens answered")
	}
	err = eventually(t, func() error {
		if !regexp.MustCompile(`error forwarding port 9999 to pod .*connect: connection refused`).MatchString(out.String()) {
			return errorf("printed %s", out)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// survives kills the node's agent and kubectl while commands run: nothing of them
// stays, and the pod is as it was.
func survives(t *testing.T, binary, namespace string) {
	t.Helper()
	node := strings.TrimSpace(kubectl(t, "-n", namespace, "get", "pod", "web", "-o", "jsonpath={.spec.nodeName}"))
	sleeps := func() string {
		out, _ := cluster.Kubectl(t.Context(), binary, "", "-n", namespace, "exec", "web", "-c", "main", "--", "sh", "-c", "ps | grep -c '[s]leep 4[0-9]*2' || true")
		return strings.TrimSpace(out)
	}
	begin := func(seconds string) *exec.Cmd {
		cmd, out := start(t, binary, "-n", namespace, "exec", "web", "-c", "main", "--", "sh", "-c", "echo on; sleep "+seconds)
		if err := eventually(t, func() error {
			if !strings.Contains(out.String(), "on") {
				return errorf("printed %q", out)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	gone := func(what string) {
		if err := eventually(t, func() error {
			if n := sleeps(); n != "0" {
				return fmt.Errorf("%q commands are left", n)
			}
			return nil
		}); err != nil {
			t.Errorf("after %s: %v", what, err)
		}
	}
	stop(begin("4002"))
	gone("kubectl was killed")
	cmd := begin("4012")
	defer stop(cmd)
	if out, err := cluster.Dev(t.Context(), "kill", node+"/agent"); err != nil {
		t.Fatalf("kill %s: %v\n%s", node, err, out)
	}
	if out, err := cluster.Dev(t.Context(), "start", node+"/agent"); err != nil {
		t.Fatalf("start %s: %v\n%s", node, err, out)
	}
	gone("the agent was killed")
	do(t, binary, namespace, harness.Step{Args: "-n NS get pod web", Want: `web\s+2/2\s+Running\s+0`})
}
