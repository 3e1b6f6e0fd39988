package probe_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/musterhq/muster/agent/probe"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func split(t *testing.T, address string) (host string, port int) {
	t.Helper()
	host, p, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	port, err = strconv.Atoi(p)
	if err != nil {
		t.Fatal(err)
	}
	return host, port
}

// closedPort is one that nobody listens on.
func closedPort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port := split(t, l.Addr().String())
	l.Close()
	return port
}

func TestOnce(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			if r.Host != "named" || r.URL.RawQuery != "a=b" {
				w.WriteHeader(http.StatusTeapot)
			}
		case "/away":
			http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer srv.Close()
	host, web := split(t, strings.TrimPrefix(srv.URL, "http://"))
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	checks := health.NewServer()
	checks.SetServingStatus("down", healthv1.HealthCheckResponse_NOT_SERVING)
	rpc := grpc.NewServer()
	healthv1.RegisterHealthServer(rpc, checks)
	go func() { _ = rpc.Serve(lis) }()
	defer rpc.Stop()
	_, rpcPort := split(t, lis.Addr().String())
	closed, down := closedPort(t), "down"
	c := &corev1.Container{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: int32(web)}}}
	get := func(path string) corev1.ProbeHandler {
		return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("web"),
			HTTPHeaders: []corev1.HTTPHeader{{Name: "Host", Value: "named"}}}}
	}
	run := func(name string) corev1.ProbeHandler {
		return corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{name}}}
	}
	exec := func(_ context.Context, command []string) ([]byte, int, error) {
		switch command[0] {
		case "true":
			return nil, 0, nil
		case "false":
			return []byte("no luck"), 1, nil
		}
		return nil, 0, errors.New("executable file not found")
	}
	tests := map[string]struct {
		handler corev1.ProbeHandler
		want    string // "" for success
	}{
		"http":          {get("/ok?a=b"), ""},
		"command":       {run("true"), ""},
		"command fails": {run("false"), "no luck"},
		"no command":    {run("none"), "executable file not found"},
		"http redirect": {get("/away"), ""},
		"http failure":  {get("/bad"), "HTTP probe failed with statuscode: 500"},
		"port name":     {corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromString("nope")}}, "couldn't find port: nope"},
		"tcp":           {corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(web)}}, ""},
		"tcp closed":    {corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(closed)}}, "connection refused"},
		"grpc":          {corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: int32(rpcPort)}}, ""},
		"grpc down":     {corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: int32(rpcPort), Service: &down}}, `service unhealthy (responded with "NOT_SERVING")`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			err := probe.Once(t.Context(), &corev1.Probe{ProbeHandler: tc.handler, TimeoutSeconds: 5}, host, c, exec)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestProberCondemns(t *testing.T) {
	p := func() *corev1.Probe {
		return &corev1.Probe{FailureThreshold: 1, PeriodSeconds: 1,
			ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(closedPort(t))}}}
	}
	tests := map[string]*corev1.Container{
		probe.Liveness: {LivenessProbe: p()},
		probe.Startup:  {StartupProbe: p(), LivenessProbe: p(), ReadinessProbe: p()},
	}
	for kind, c := range tests {
		t.Run(kind, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			var kinds []string
			changed := 0
			prober := probe.New(c, "127.0.0.1", nil, false, func() { changed++ }, func(k string, _ error) { kinds = append(kinds, k) })
			prober.Run(ctx)
			if prober.Condemned() != kind || ctx.Err() != nil || changed != 1 {
				t.Errorf("condemned by %q, %d changes, %v", prober.Condemned(), changed, ctx.Err())
			}
			if len(kinds) != 1 || kinds[0] != kind {
				t.Errorf("failures %v", kinds)
			}
			if kind == probe.Startup && (prober.Started() || prober.Ready()) {
				t.Error("it counts as started")
			}
		})
	}
}

func TestProberFindsReady(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port := split(t, l.Addr().String())
	c := &corev1.Container{ReadinessProbe: &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(port)}}}}
	ctx, cancel := context.WithCancel(t.Context())
	prober := probe.New(c, "127.0.0.1", nil, false, cancel, func(_ string, err error) { t.Error(err) })
	if prober.Ready() || !prober.Started() {
		t.Error("ready before it was asked, or not started")
	}
	prober.Run(ctx)
	if !prober.Ready() {
		t.Error("not ready although it answers")
	}
}
