package rest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/client-go/util/exec"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/services/apiserver/internal/stream"
)

// Exec finds containers called main only. It knows "cat", "both OUT ERR CODE",
// "size", "hang" and "pour", which ignores its input and writes until it fails.
func (a *agent) Exec(ctx context.Context, _, _ string, start *agentv1.ExecStart) (stream.Command, error) {
	if start.GetContainer() != "main" {
		return nil, status.Errorf(codes.NotFound, "container not found (%q)", start.GetContainer())
	}
	return &program{ctx, a, start}, nil
}

type program struct {
	ctx   context.Context
	agent *agent
	start *agentv1.ExecStart
}

func (p *program) Close() {}

func (p *program) Run(s stream.Streams) (int, error) {
	args := append(p.start.GetCommand(), "", "", "", "")
	switch args[0] {
	case "cat", "": // attached
		_, err := io.Copy(s.Stdout, s.Stdin)
		return 0, err
	case "both":
		fmt.Fprint(s.Stdout, args[1])
		fmt.Fprint(s.Stderr, args[2])
		code, _ := strconv.Atoi(args[3])
		return code, nil
	case "size":
		size := <-s.Resize
		fmt.Fprintf(s.Stdout, "%dx%d", size.Width, size.Height)
		return 0, nil
	case "hang":
		fmt.Fprint(s.Stdout, "up")
		<-p.ctx.Done()
		p.agent.ended <- struct{}{}
		return 0, p.ctx.Err()
	}
	return 0, status.Errorf(codes.Internal, "failed to exec in container: exec: %q: executable file not found in $PATH", args[0])
}

// Dial echoes on port 7 and refuses others; what others of the network would ask
// of the pod this machine answers.
func (a *agent) Dial(_ context.Context, _, _ string, start *agentv1.DialStart) (net.Conn, error) {
	if start.GetFromNode() {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", start.GetPort()))
		if err != nil {
			return nil, status.Error(codes.Unavailable, err.Error())
		}
		return conn, nil
	}
	if start.GetPort() != 7 {
		return nil, status.Errorf(codes.Unavailable, "dial tcp4 127.0.0.1:%d: connect: connection refused", start.GetPort())
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer lis.Close()
	go func() {
		if conn, err := lis.Accept(); err == nil {
			_, _ = io.Copy(conn, conn)
			conn.Close()
			a.ended <- struct{}{}
		}
	}()
	return net.Dial("tcp", lis.Addr().String())
}

func openWithPods(t testing.TB) *door {
	t.Helper()
	d := open(t)
	d.addNode(t)
	d.addPod(t, "up", corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, "main")
	d.addPod(t, "two", corev1.ContainerState{}, "main", "side")
	return d
}

// executors are client-go's two, for a path below the pods of namespace default.
func (d *door) executors(t *testing.T, path string, header ...string) map[string]remotecommand.Executor {
	t.Helper()
	target := d.URL + "/api/v1/namespaces/default/pods/" + path
	config := &restclient.Config{Host: d.URL}
	if len(header) > 0 {
		config.WrapTransport = func(rt http.RoundTripper) http.RoundTripper { return as{header[0], rt} }
	}
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	overSPDY, err := remotecommand.NewSPDYExecutor(config, "POST", u)
	if err != nil {
		t.Fatal(err)
	}
	overWebSocket, err := remotecommand.NewWebSocketExecutor(config, "GET", target)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]remotecommand.Executor{"SPDY": overSPDY, "WebSocket": overWebSocket}
}

// as makes requests another user's.
type as struct {
	name string
	rt   http.RoundTripper
}

func (a as) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-User", a.name)
	return a.rt.RoundTrip(r)
}

func TestExec(t *testing.T) {
	d := openWithPods(t)
	big := strings.Repeat("0123456789abcde\n", 32<<10)
	for name, e := range d.executors(t, "up/exec?stdin=true&stdout=true&command=cat") {
		var out bytes.Buffer
		err := e.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdin: strings.NewReader(big), Stdout: &out})
		if err != nil || out.String() != big {
			t.Errorf("%s: cat: %v, %d of %d bytes", name, err, out.Len(), len(big))
		}
	}
	for name, e := range d.executors(t, "up/exec?stdout=true&stderr=true&command=both&command=a&command=b&command=7") {
		var out, errs bytes.Buffer
		err := e.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: &out, Stderr: &errs})
		var code exec.CodeExitError
		if !errors.As(err, &code) || code.Code != 7 || err.Error() != "command terminated with exit code 7" || out.String() != "a" || errs.String() != "b" {
			t.Errorf("%s: both: %v, %q, %q", name, err, out.String(), errs.String())
		}
	}
	for name, e := range d.executors(t, "up/exec?stdin=true&stdout=true&tty=true&command=size") {
		var out bytes.Buffer
		err := e.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdin: strings.NewReader(""), Stdout: &out, Tty: true, TerminalSizeQueue: &fixed{}})
		if err != nil || out.String() != "80x25" {
			t.Errorf("%s: size: %v, %q", name, err, out.String())
		}
	}
	for name, e := range d.executors(t, "up/attach?stdin=true&stdout=true") {
		var out bytes.Buffer
		err := e.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdin: strings.NewReader("x"), Stdout: &out})
		if err != nil || out.String() != "x" {
			t.Errorf("%s: attach: %v, %q", name, err, out.String())
		}
	}
}

// fixed is a terminal that is never resized.
type fixed struct{ told bool }

func (f *fixed) Next() *remotecommand.TerminalSize {
	if f.told {
		return nil
	}
	f.told = true
	return &remotecommand.TerminalSize{Width: 80, Height: 25}
}

func TestExecErrors(t *testing.T) {
	d := openWithPods(t)
	for path, both := range map[string][2]string{ // SPDY, WebSocket
		"up/exec?stdout=true&command=nope": {
			`Internal error occurred: error executing command in container: failed to exec in container: exec: "nope": executable file not found in $PATH`,
			`Internal error occurred: error executing command in container: failed to exec in container: exec: "nope": executable file not found in $PATH`},
		"two/exec?stdout=true&command=cat&container=side": {
			`unable to upgrade connection: container not found ("side")`,
			`Internal error occurred: unable to upgrade connection: container not found ("side")`},
		"two/exec?stdout=true&command=cat":             {"a container name must be specified for pod two, choose one of: [main side]", "a container name must be specified for pod two, choose one of: [main side]"},
		"up/exec?stdout=true&command=cat&container=no": {"container no is not valid for pod up", "container no is not valid for pod up"},
		"none/exec?stdout=true&command=cat":            {`pods "none" not found`, `pods "none" not found`},
		"up/exec?command=cat":                          {"you must specify at least 1 of stdin, stdout, stderr", "you must specify at least 1 of stdin, stdout, stderr"},
	} {
		for name, e := range d.executors(t, path) {
			want := both[0]
			if name == "WebSocket" {
				want = both[1]
			}
			err := e.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard})
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s %s: %v, want %s", name, path, err, want)
			}
		}
	}
	for name, e := range d.executors(t, "up/exec?stdout=true&command=cat", "somebody") {
		err := e.StreamWithContext(t.Context(), remotecommand.StreamOptions{Stdout: io.Discard})
		if err == nil || !strings.Contains(err.Error(), `User "somebody" cannot`) {
			t.Errorf("%s as somebody: %v", name, err)
		}
	}
	if response, body := d.call(t, "POST", "/api/v1/namespaces/default/pods/up/exec?stdout=true&command=cat", ""); response.StatusCode != 400 || !strings.Contains(body, `"message":"Upgrade request required"`) {
		t.Errorf("without upgrade: %d %s", response.StatusCode, body)
	}
}

// TestExecEndsWithItsClient cuts clients off while a command runs, also one that
// sends more than the command reads.
func TestExecEndsWithItsClient(t *testing.T) {
	d := openWithPods(t)
	for _, path := range []string{"up/exec?stdout=true&command=hang", "up/exec?stdin=true&stdout=true&command=hang"} {
		for _, name := range []string{"SPDY", "WebSocket"} {
			far := *d
			cable := plug(t, d.Listener.Addr().String())
			far.Server = &httptest.Server{URL: "http://" + cable.Addr().String()}
			options := remotecommand.StreamOptions{Stdout: onWrite(cable.cut)}
			if strings.Contains(path, "stdin") {
				options.Stdin = endless{}
			}
			// SPDY's client may take a connection that breaks off for the end, or
			// wait for ever: it is not what is tested.
			client := far.executors(t, path)[name]
			go func() { _ = client.StreamWithContext(t.Context(), options) }()
			select {
			case <-d.agent.ended:
			case <-time.After(20 * time.Second):
				t.Errorf("%s %s: the command runs on", name, path)
			}
		}
	}
}

// cable carries one connection.
type cable struct {
	net.Listener
	ends chan net.Conn
}

func plug(t *testing.T, to string) *cable {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{lis, make(chan net.Conn, 2)}
	t.Cleanup(func() { lis.Close() })
	go func() {
		near, err := lis.Accept()
		if err != nil {
			return
		}
		there, err := net.Dial("tcp", to)
		if err != nil {
			near.Close()
			return
		}
		c.ends <- near
		c.ends <- there
		go func() { _, _ = io.Copy(there, near) }()
		_, _ = io.Copy(near, there)
	}()
	return c
}

// cut closes both ends, whatever is under way.
func (c *cable) cut() {
	for range 2 {
		select {
		case end := <-c.ends:
			end.Close()
		default:
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// onWrite is a writer that does something once.
type onWrite func()

func (f onWrite) Write(b []byte) (int, error) { f(); return len(b), nil }

// forward opens the port by client-go and returns the local address.
func (d *door) forward(t *testing.T, dialer httpstream.Dialer, port string, errs io.Writer) string {
	t.Helper()
	stop, ready := make(chan struct{}), make(chan struct{})
	f, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, []string{"0:" + port}, stop, ready, io.Discard, errs)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- f.ForwardPorts() }()
	t.Cleanup(func() {
		close(stop)
		<-done
	})
	select {
	case <-ready:
	case err := <-done:
		t.Fatal(err)
	}
	ports, err := f.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", ports[0].Local)
}

// lines is a writer that tells of each write.
type lines struct {
	mu   sync.Mutex
	text string
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text += string(b)
	return len(b), nil
}

func TestPortForward(t *testing.T) {
	d := openWithPods(t)
	config := &restclient.Config{Host: d.URL}
	u, err := url.Parse(d.URL + "/api/v1/namespaces/default/pods/up/portforward")
	if err != nil {
		t.Fatal(err)
	}
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		t.Fatal(err)
	}
	tunnel, err := portforward.NewSPDYOverWebsocketDialer(u, config)
	if err != nil {
		t.Fatal(err)
	}
	for name, dialer := range map[string]httpstream.Dialer{
		"SPDY":   spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", u),
		"tunnel": tunnel,
	} {
		t.Run(name, func(t *testing.T) {
			address := d.forward(t, dialer, "7", io.Discard)
			for range 3 {
				echo(t, address)
				<-d.agent.ended
			}
			refused := d.forward(t, dialer, "9", &lines{})
			conn, err := net.Dial("tcp", refused)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if got, err := io.ReadAll(conn); len(got) > 0 {
				t.Errorf("a refused port sent %q, %v", got, err)
			}
		})
	}
}

// echo sends much, ends its side and expects all of it back.
func echo(t *testing.T, address string) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sent := strings.Repeat("0123456789abcde\n", 16<<10)
	go func() {
		_, _ = io.WriteString(conn, sent)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	if got, err := io.ReadAll(conn); string(got) != sent || err != nil {
		t.Errorf("%d of %d bytes came back, %v", len(got), len(sent), err)
	}
}
