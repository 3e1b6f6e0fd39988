package foreign_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/fullstorydev/grpcurl"
	"github.com/jhump/protoreflect/grpcreflect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/integration/loopback"
)

const objectService = "muster.api.v1.ObjectService"

// curl is grpcurl on a connection, as its command line uses it: it knows nothing but
// what reflection tells.
type curl struct {
	t      *testing.T
	ctx    context.Context
	conn   *grpc.ClientConn
	source grpcurl.DescriptorSource
}

func newCurl(t *testing.T, s *loopback.Server) *curl {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	files := s.Files()
	tls, err := grpcurl.ClientTLSConfig(false, files.CA, files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := grpcurl.BlockingDial(ctx, "tcp", s.GRPC, credentials.NewTLS(tls))
	if err != nil {
		t.Fatal(err)
	}
	reflection := grpcreflect.NewClientAuto(ctx, conn)
	t.Cleanup(func() {
		reflection.Reset()
		conn.Close()
	})
	return &curl{t: t, ctx: ctx, conn: conn, source: grpcurl.DescriptorSourceFromServer(ctx, reflection)}
}

// call makes an RPC with a request in JSON and returns the answer in JSON.
func (c *curl) call(method, request string) (string, *status.Status) {
	c.t.Helper()
	parser, format, err := grpcurl.RequestParserAndFormatter(grpcurl.FormatJSON, c.source, strings.NewReader(request), grpcurl.FormatOptions{})
	if err != nil {
		c.t.Fatal(err)
	}
	var out bytes.Buffer
	handler := &grpcurl.DefaultEventHandler{Out: &out, Formatter: format}
	if err := grpcurl.InvokeRPC(c.ctx, c.source, c.conn, objectService+"/"+method, nil, handler, parser.Next); err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
	return out.String(), handler.Status
}

func (c *curl) describe(symbol string) string {
	c.t.Helper()
	found, err := c.source.FindSymbol(symbol)
	if err != nil {
		c.t.Fatalf("describe %s: %v", symbol, err)
	}
	text, err := grpcurl.GetDescriptorText(found, c.source)
	if err != nil {
		c.t.Fatalf("describe %s: %v", symbol, err)
	}
	return text
}

func TestGrpcurl(t *testing.T) {
	c := newCurl(t, loopback.Start(t))
	services, err := grpcurl.ListServices(c.source)
	if err != nil || !strings.Contains(strings.Join(services, " "), objectService) {
		t.Errorf("services: %v, %v", services, err)
	}
	for symbol, want := range map[string]string{
		objectService:                "rpc Transact ( .muster.api.v1.TransactRequest ) returns ( .muster.api.v1.TransactResponse )",
		"k8s.io.api.core.v1.Pod":     "optional .k8s.io.api.core.v1.PodSpec spec = 2;",
		"k8s.io.api.core.v1.PodSpec": "repeated .k8s.io.api.core.v1.Container containers = 2;",
	} {
		if text := c.describe(symbol); !strings.Contains(text, want) {
			t.Errorf("describe %s:\n%s", symbol, text)
		}
	}

	created, failed := c.call("Create", `{"object": {"@type": "type.googleapis.com/k8s.io.api.core.v1.Pod",
		"metadata": {"name": "web", "namespace": "default", "labels": {"app": "web"}},
		"spec": {"containers": [{"name": "main", "image": "jwilder/whoami"}]}}}`)
	if failed.Code() != codes.OK || !strings.Contains(created, `"image": "jwilder/whoami"`) {
		t.Fatalf("create: %v\n%s", failed, created)
	}
	got, failed := c.call("Get", `{"key": {"type": "k8s.io.api.core.v1.Pod", "namespace": "default", "name": "web"}}`)
	for _, want := range []string{`"@type": "type.googleapis.com/k8s.io.api.core.v1.Pod"`, `"app": "web"`, `"restartPolicy": "Always"`, `"phase": "Pending"`} {
		if failed.Code() != codes.OK || !strings.Contains(got, want) {
			t.Errorf("get: %v, not %s:\n%s", failed, want, got)
		}
	}
	list, failed := c.call("List", `{"type": "k8s.io.api.core.v1.Pod", "labelSelector": "app=web"}`)
	if failed.Code() != codes.OK || strings.Count(list, `"@type"`) != 1 {
		t.Errorf("list: %v\n%s", failed, list)
	}
	// An error's details are readable as well.
	_, failed = c.call("Get", `{"key": {"type": "k8s.io.api.core.v1.Pod", "namespace": "default", "name": "none"}}`)
	var text bytes.Buffer
	_, format, err := grpcurl.RequestParserAndFormatter(grpcurl.FormatJSON, c.source, nil, grpcurl.FormatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	grpcurl.PrintStatus(&text, failed, format)
	if failed.Code() != codes.NotFound || !strings.Contains(text.String(), `"reason": "NotFound"`) {
		t.Errorf("status:\n%s", text.String())
	}
}
