package sdk

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk/exchange"
)

// Kind is a kind of objects that the cluster serves.
type Kind struct {
	// Type is the Kubernetes message name: "k8s.io.api.apps.v1.Deployment".
	Type string
	schema.GroupVersionKind
	// Resource is the plural: "deployments".
	Resource   string
	Namespaced bool
	// Verbs as discovery names them: "get", "create".
	Verbs []string
	// StoredType is set where the same objects are served as that type, too.
	StoredType string
}

// Kinds returns all kinds that the cluster serves. It is tried again by itself while
// no server answers.
func (c *Client) Kinds(ctx context.Context) ([]Kind, error) {
	kinds, err := retried(ctx, c, again, func(ctx context.Context) ([]Kind, error) {
		ctx, cancel := c.bounded(ctx)
		defer cancel()
		resp, err := c.objects.Kinds(ctx, &apiv1.KindsRequest{})
		if err != nil {
			return nil, fromGRPC(ctx, err)
		}
		var out []Kind
		for _, k := range resp.GetKinds() {
			out = append(out, Kind{
				Type: k.GetType(), GroupVersionKind: schema.GroupVersionKind{Group: k.GetGroup(), Version: k.GetVersion(), Kind: k.GetKind()},
				Resource: k.GetResource(), Namespaced: k.GetNamespaced(), Verbs: k.GetVerbs(), StoredType: k.GetStoredType(),
			})
		}
		return out, nil
	})
	return kinds, wrap(err, "list", "kinds", "", "")
}

// Metadata reads and changes objects of a type that is known at run time only,
// by their metadata: nothing else of them is sent or decoded.
type Metadata struct {
	client *Client
	typ    string
}

// MetadataOf returns the calls for a type: "k8s.io.api.core.v1.Pod".
func MetadataOf(c *Client, typ string) Metadata { return Metadata{client: c, typ: typ} }

func (m Metadata) key(namespace, name string) *apiv1.ObjectKey {
	return &apiv1.ObjectKey{Type: m.typ, Namespace: namespace, Name: name}
}

// Get is Get of the metadata.
func (m Metadata) Get(ctx context.Context, namespace, name string) (*metav1.PartialObjectMetadata, error) {
	obj, err := retried(ctx, m.client, again, func(ctx context.Context) (*metav1.PartialObjectMetadata, error) {
		ctx, cancel := m.client.bounded(ctx)
		defer cancel()
		resp, err := m.client.objects.Get(ctx, &apiv1.GetRequest{Key: m.key(namespace, name), MetadataOnly: true})
		if err != nil {
			return nil, fromGRPC(ctx, err)
		}
		return Decode[*metav1.PartialObjectMetadata](resp.GetObject())
	})
	return obj, wrap(err, "get", m.typ, namespace, name)
}

// List is List of the metadata.
func (m Metadata) List(ctx context.Context, opts ListOptions) (*Page[*metav1.PartialObjectMetadata], error) {
	return list[*metav1.PartialObjectMetadata](ctx, m.client, opts, m.typ, true)
}

// Watch is Watch of the metadata.
func (m Metadata) Watch(ctx context.Context, opts WatchOptions) *Watcher[*metav1.PartialObjectMetadata] {
	return newWatcher[*metav1.PartialObjectMetadata](ctx, m.client, opts, m.typ, true)
}

// Patch is Patch, and returns the metadata of what was stored.
func (m Metadata) Patch(ctx context.Context, namespace, name string, pt types.PatchType, patch []byte) (*metav1.PartialObjectMetadata, error) {
	typ, ok := patchTypes[pt]
	if !ok {
		return nil, fmt.Errorf("unsupported patch type %q", pt)
	}
	o, err := m.client.perform(ctx, Operation{verb: "patch", typ: m.typ, namespace: namespace, name: name,
		op: &apiv1.Operation{Request: &apiv1.Operation_Patch{Patch: &apiv1.PatchRequest{Key: m.key(namespace, name), Type: typ, Patch: patch}}}})
	if err != nil {
		return nil, wrap(err, "patch", m.typ, namespace, name)
	}
	return m.decode(o)
}

// decode takes the metadata, the first field of any object, and skips the rest.
func (m Metadata) decode(o exchange.Object) (*metav1.PartialObjectMetadata, error) {
	if got := strings.TrimPrefix(o.TypeURL, typeURLPrefix); got != m.typ {
		return nil, fmt.Errorf("decode %s: the answer holds a %s", m.typ, got)
	}
	out := &metav1.PartialObjectMetadata{}
	for _, part := range o.Parts {
		if err := out.Unmarshal(part); err != nil {
			return nil, fmt.Errorf("decode %s: %w", m.typ, err)
		}
	}
	return out, nil
}

// Delete is Delete.
func (m Metadata) Delete(ctx context.Context, namespace, name string, opts DeleteOptions) error {
	_, err := m.client.perform(ctx, m.DeleteOp(namespace, name, opts))
	return wrap(err, "delete", m.typ, namespace, name)
}

// DeleteOp is DeleteOp.
func (m Metadata) DeleteOp(namespace, name string, opts DeleteOptions) Operation {
	return deleteOp(m.key(namespace, name), opts)
}
