package sdk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// Apply has an object of type T be as a manifest says (server-side apply), and creates
// it where there is none. The manifest holds the fields that the manager wants, a name
// of at most 128 bytes, and nothing else: what it wanted before and leaves out now is
// removed, unless others want it. 409 Conflict, with a cause for each field, when
// others want fields otherwise; see Force.
//
// The manifest is YAML or JSON ([]byte), or what marshals to such JSON: an object, an
// apply configuration of client-go, a map. It names the object.
func Apply[T Object](ctx context.Context, c *Client, manager string, manifest any, opts ...WriteOption) (T, error) {
	return perform[T](ctx, c, ApplyOp[T](manager, manifest, opts...))
}

// ApplyStatus is Apply for the status of an object, which has to be there.
func ApplyStatus[T Object](ctx context.Context, c *Client, manager string, manifest any, opts ...WriteOption) (T, error) {
	return perform[T](ctx, c, applyOp(TypeNameOf[T](), manager, "status", manifest, opts))
}

// ApplyOp is Apply as an operation.
func ApplyOp[T Object](manager string, manifest any, opts ...WriteOption) Operation {
	return applyOp(TypeNameOf[T](), manager, "", manifest, opts)
}

// ApplyTypeOp is ApplyOp for who learns the type when the program runs: its Kubernetes
// message name, as TypeName returns it.
func ApplyTypeOp(typ, manager string, manifest any, opts ...WriteOption) Operation {
	return applyOp(typ, manager, "", manifest, opts)
}

func applyOp(typ, manager, subresource string, manifest any, opts []WriteOption) Operation {
	raw, meta, err := readManifest(manifest)
	k := &apiv1.ObjectKey{Type: typ, Namespace: meta.Namespace, Name: meta.Name}
	op := patchOp("apply", k, subresource, apiv1.PatchType_PATCH_TYPE_APPLY, raw, opts)
	op.op.GetPatch().FieldManager = manager
	if op.err = err; err == nil && manager == "" {
		op.err = errors.New("the manager of the fields has no name")
	}
	return op
}

// readManifest returns a manifest as JSON, and what it names.
func readManifest(manifest any) (raw []byte, meta metav1.ObjectMeta, err error) {
	if text, ok := manifest.([]byte); ok {
		raw, err = utilyaml.ToJSON(text)
	} else {
		raw, err = json.Marshal(manifest)
	}
	if err != nil {
		return nil, meta, fmt.Errorf("read the manifest: %w", err)
	}
	var named struct {
		Metadata struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &named); err != nil {
		return nil, meta, fmt.Errorf("read the manifest: %w", err)
	}
	meta.Name, meta.Namespace = named.Metadata.Name, named.Metadata.Namespace
	if meta.Name == "" {
		return nil, meta, errors.New("read the manifest: metadata.name is empty")
	}
	return raw, meta, nil
}
