package stream_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/runtime/fake"
	"github.com/musterhq/muster/agent/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type service struct {
	agentv1.UnimplementedAgentServiceServer
	*stream.Server
}

func (s service) Exec(call agentv1.AgentService_ExecServer) error { return s.Server.Exec(call) }
func (s service) Dial(call agentv1.AgentService_DialServer) error { return s.Server.Dial(call) }

// pods holds one.
type pods struct{ *corev1.Pod }

func (p pods) Get(namespace, name string) (*corev1.Pod, bool) {
	return p.Pod, namespace == p.Namespace && name == p.Name
}

// node runs a pod whose container main is the program "cat".
func node(t *testing.T) (agentv1.AgentServiceClient, *fake.Runtime) {
	t.Helper()
	r := fake.New()
	img, err := r.ImportImages(t.Context(), strings.NewReader("busybox"))
	if err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "u1"}}
	if _, err := r.EnsureSandbox(t.Context(), runtime.SandboxConfig{PodUID: "u1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateAndStart(t.Context(), "u1", runtime.ContainerConfig{Name: "main", Image: img[0], Command: []string{"cat"}, Stdin: true, StdinOnce: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.RemoveSandbox(context.Background(), "u1") })
	lis := bufconn.Listen(1 << 20)
	server := grpc.NewServer()
	agentv1.RegisterAgentServiceServer(server, service{Server: stream.New(pods{pod}, r)})
	done := make(chan error, 1)
	go func() { done <- server.Serve(lis) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	conn, err := grpc.NewClient("passthrough:///bufnet", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return agentv1.NewAgentServiceClient(conn), r
}

// run makes a call of the start and the input, and returns what came.
func run(t *testing.T, client agentv1.AgentServiceClient, start *agentv1.ExecStart, stdin string) (out string, code int32, err error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	call, err := client.Exec(ctx)
	if err != nil {
		t.Fatal(err)
	}
	requests := []*agentv1.ExecRequest{{Part: &agentv1.ExecRequest_Start{Start: start}}}
	if start.GetStdin() {
		requests = append(requests, &agentv1.ExecRequest{Part: &agentv1.ExecRequest_Stdin{Stdin: []byte(stdin)}},
			&agentv1.ExecRequest{Part: &agentv1.ExecRequest_StdinEnd{StdinEnd: &agentv1.StdinEnd{}}})
	}
	for _, r := range requests {
		if err := call.Send(r); err != nil && !errors.Is(err, io.EOF) {
			t.Fatal(err)
		}
	}
	code = -1
	for first := true; ; first = false {
		r, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return out, code, nil
		}
		if err != nil {
			return out, code, err
		}
		if (r.GetStarted() != nil) != first {
			t.Errorf("out of turn: %v", r)
		}
		out += string(r.GetStdout()) + string(r.GetStderr())
		if c, ok := r.GetPart().(*agentv1.ExecResponse_ExitCode); ok {
			code = c.ExitCode
		}
	}
}

func TestExec(t *testing.T) {
	client, _ := node(t)
	for name, test := range map[string]struct {
		start *agentv1.ExecStart
		out   string
		code  int32
		err   codes.Code
	}{
		"both":          {start: &agentv1.ExecStart{Command: []string{"both", "a", "b", "3"}, Stdout: true, Stderr: true}, out: "a\nb\n", code: 3},
		"errors unread": {start: &agentv1.ExecStart{Command: []string{"both", "a", "b", "3"}, Stdout: true}, out: "a\n", code: 3},
		"input":         {start: &agentv1.ExecStart{Command: []string{"cat"}, Stdin: true, Stdout: true}, out: "in"},
		"no input":      {start: &agentv1.ExecStart{Command: []string{"cat"}, Stdout: true}},
		"no program":    {start: &agentv1.ExecStart{Command: []string{"nope"}, Stdout: true}, err: codes.Internal, code: -1},
		"no container":  {start: &agentv1.ExecStart{Container: "side", Command: []string{"cat"}}, err: codes.NotFound, code: -1},
		"another pod":   {start: &agentv1.ExecStart{PodUid: "u2", Command: []string{"cat"}}, err: codes.NotFound, code: -1},
	} {
		start := test.start
		start.Namespace, start.Pod = "default", "web"
		if start.GetContainer() == "" {
			start.Container = "main"
		}
		out, code, err := run(t, client, start, "in")
		if out != test.out || code != test.code || status.Code(err) != test.err {
			t.Errorf("%s: %q, code %d, %v", name, out, code, err)
		}
	}
	out, code, err := run(t, client, &agentv1.ExecStart{Namespace: "default", Pod: "web", Container: "main", Stdin: true, Stdout: true}, "attached")
	if out != "attached" || code != -1 || err != nil {
		t.Errorf("attach: %q, code %d, %v", out, code, err)
	}
}

func TestDial(t *testing.T) {
	client, r := node(t)
	r.Listen("u1", 80, func(conn net.Conn) {
		defer conn.Close()
		buf := make([]byte, 2)
		if _, err := io.ReadFull(conn, buf); err == nil {
			_, _ = conn.Write(append([]byte("got "), buf...))
		}
	})
	for port, want := range map[uint32]codes.Code{80: codes.OK, 81: codes.Unavailable, 0: codes.InvalidArgument} {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		call, err := client.Dial(ctx)
		if err != nil {
			t.Fatal(err)
		}
		start := &agentv1.DialStart{Namespace: "default", Pod: "web", Port: port}
		if err := call.Send(&agentv1.DialRequest{Part: &agentv1.DialRequest_Start{Start: start}}); err != nil {
			t.Fatal(err)
		}
		if _, err := call.Recv(); status.Code(err) != want || want != codes.OK {
			if status.Code(err) != want {
				t.Errorf("port %d: %v, want %v", port, err, want)
			}
			continue
		}
		if err := call.Send(&agentv1.DialRequest{Part: &agentv1.DialRequest_Data{Data: []byte("hi")}}); err != nil {
			t.Fatal(err)
		}
		got := ""
		for {
			r, err := call.Recv()
			if err != nil {
				break
			}
			got += string(r.GetData())
		}
		if got != "got hi" {
			t.Errorf("port %d: %q", port, got)
		}
	}
}
