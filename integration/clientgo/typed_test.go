package clientgo_test

import (
	"context"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/musterhq/muster/integration/loopback"
	"github.com/musterhq/muster/internal/pki"
)

const (
	jsonType     = "application/json"
	protobufType = "application/vnd.kubernetes.protobuf"
)

// special are kinds whose objects have no life of the usual kind, and why.
var special = map[string]string{
	"componentstatuses": "they are only read",
	"bindings":          "client-go makes them by the subresource of pods alone",
	"servicecidrs":      "there is one, which says what the server was given",
}

// TestTyped takes an object of every kind that discovery names through its life, in
// both encodings, and has a watch tell of it.
func TestTyped(t *testing.T) {
	for _, encoding := range []string{jsonType, protobufType} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			config := loopback.Start(t).Config(pki.AdminIdentity())
			config.WarningHandler = rest.NoWarnings{}
			config.ContentType, config.AcceptContentTypes = encoding, encoding
			everyKind(t, config)
		})
	}
}

func everyKind(t *testing.T, config *rest.Config) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	clients := kubernetes.NewForConfigOrDie(config)
	samples := samples(t)
	for _, r := range served(t, clients) {
		if _, ok := special[r.Name]; ok {
			continue
		}
		t.Run(r.gvr.GroupResource().String()+"."+r.gvr.Version, func(t *testing.T) {
			t.Parallel()
			sample, ok := samples[r.gvk]
			if !ok {
				t.Fatalf("testdata/samples.yaml has no %s", r.gvk)
			}
			obj := prepared(ctx, t, clients, sample, r.Namespaced)
			client, ok := typedClient(clients, r, obj.GetNamespace())
			if !ok {
				t.Fatal("client-go has no typed client")
			}
			client.checkMethods(t, r)
			l := &life{t: t, ctx: ctx, client: client, resource: r, sample: obj}
			if client.has("Watch") {
				l.live()
			} else {
				l.answered()
			}
		})
	}
}
