package rest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"

	"google.golang.org/grpc/status"
	utilproxy "k8s.io/apimachinery/pkg/util/proxy"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// proxySubresource passes requests on to what is behind an object.
const proxySubresource = "proxy"

// proxyVerbs is what a method asks of a proxy. Those that are not here are served
// and have no verb: only who may do everything may use them.
var proxyVerbs = map[string]string{
	http.MethodGet: "get", http.MethodHead: "get", http.MethodPost: "create", http.MethodPut: "update",
	http.MethodPatch: "patch", http.MethodDelete: "delete", http.MethodOptions: "",
}

// backend is where a proxied request goes.
type backend struct {
	scheme, host string
	dial         func(ctx context.Context, network, address string) (net.Conn, error)
}

// proxy passes a request on to a pod, a service or a node, as Kubernetes does:
// the path below, the query, any method, upgrades; answers that lead to the
// backend are made to lead through here.
func (h *Handler) proxy(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	if err := h.objects.Authorize(r.Context(), proxyVerbs[r.Method], t); err != nil {
		return err
	}
	below := r.URL.Path[strings.Index(r.URL.Path, proxyPrefix(t))+len(proxyPrefix(t)):]
	b, err := h.backendOf(r, t)
	if err != nil {
		return err
	}
	if b.dial == nil {
		return h.kubelet(w, r, t, below)
	}
	location := &url.URL{Scheme: b.scheme, Host: b.host, Path: path.Join("", below)}
	transport := &http.Transport{
		DialContext: b.dial, DisableKeepAlives: true,
		// Pods have no names that a certificate could prove, here as with Kubernetes.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}
	r = r.Clone(r.Context())
	for name := range r.Header {
		if name == "Authorization" || strings.HasPrefix(name, "Impersonate-") {
			delete(r.Header, name) // Who the caller is here is nobody's business there.
		}
	}
	proxied := utilproxy.NewUpgradeAwareHandler(location, transport, true, false, responder{h, w})
	proxied.ServeHTTP(proxyWriter{w}, r)
	return nil
}

// proxyPrefix is the path of a proxy.
func proxyPrefix(t objects.Target) string {
	return "/" + t.Kind.Resource + "/" + t.Name + "/" + proxySubresource
}

// throughAgent connects by the agent of a pod's node: servers need not reach pods.
func (h *Handler) throughAgent(ctx context.Context, node, namespace, pod, uid string, port int32) (net.Conn, error) {
	address, err := h.agentAddress(ctx, node)
	if err != nil {
		return nil, err
	}
	conn, err := h.agents.Dial(ctx, node, address, &agentv1.DialStart{
		Namespace: namespace, Pod: pod, PodUid: uid, Port: uint32(port), FromNode: true,
	})
	if err != nil {
		return nil, errors.New(status.Convert(err).Message())
	}
	return conn, nil
}

// responder answers for a backend that does not.
type responder struct {
	handler *Handler
	w       http.ResponseWriter
}

// Error implements proxy.ErrorResponder.
func (p responder) Error(_ http.ResponseWriter, r *http.Request, err error) {
	if t, ok := p.w.(*tracked); ok {
		p.handler.fail(t, r, err)
	}
}

// proxyWriter lets the proxy take the connection for an upgrade.
type proxyWriter struct{ http.ResponseWriter }

func (p proxyWriter) Unwrap() http.ResponseWriter { return p.ResponseWriter }

// Hijack implements http.Hijacker.
func (p proxyWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(p.ResponseWriter).Hijack()
}
