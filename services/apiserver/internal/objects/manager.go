package objects

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
)

// ownManager is who manages the fields that the server writes for itself.
const ownManager = "muster-apiserver"

type managerKey struct{}

// WithManager returns a context in which writes are made in the name of a manager of
// fields: the parameter fieldManager or what the client calls itself.
func WithManager(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, managerKey{}, name)
}

func managerOf(ctx context.Context) string {
	if name, ok := ctx.Value(managerKey{}).(string); ok {
		return name
	}
	return ownManager
}

// change is how one object becomes another.
type change struct {
	verb string
	// seen is the kind as the client speaks of it.
	seen *registry.Kind
	// make returns the changed object and leaves old as it is. With a subresource other
	// than status it gets and gives the subresource's object.
	make func(old registry.Object) (registry.Object, error)
	// managed says that make sets the managed fields.
	managed bool
}

// otherUID refuses to make an object another one: who sends a whole object means that
// one, who sends a difference wants it changed.
func (c change) otherUID(t Target, uid, was types.UID) error {
	if c.verb == "update" {
		return conflict(t, fmt.Errorf(uidMismatch, uid, was))
	}
	return invalid(t.Kind, t.Name, field.ErrorList{field.Invalid(field.NewPath("metadata", "uid"), uid, apivalidation.FieldImmutableErrorMsg)})
}

// onlyLater tells whether an object is as it was but for the times at which fields
// were set: a write that was undone by what the server keeps shall change nothing.
// value is obj encoded.
func onlyLater(k *registry.Kind, obj registry.Object, value []byte, was Stored) bool {
	if len(obj.GetManagedFields()) == 0 || !bytes.Equal(afterMeta(value), afterMeta(was.Value)) {
		return false
	}
	meta, err := was.Meta()
	if err != nil || len(meta.ManagedFields) != len(obj.GetManagedFields()) {
		return false
	}
	entries := slices.Clone(obj.GetManagedFields())
	for i := range entries {
		entries[i].Time = meta.ManagedFields[i].Time
	}
	probe := obj.DeepCopyObject().(registry.Object)
	probe.SetManagedFields(entries)
	encoded, err := encode(k, probe)
	return err == nil && bytes.Equal(encoded, was.Value)
}

// afterMeta returns what follows the metadata in an encoded object.
func afterMeta(value []byte) []byte {
	number, kind, n := protowire.ConsumeTag(value)
	if n < 0 || number != metadataField || kind != protowire.BytesType {
		return value
	}
	_, length := protowire.ConsumeBytes(value[n:])
	if length < 0 {
		return value
	}
	return value[n+length:]
}

// track sets the managed fields of obj, which was made of old, unless the change did.
func (s *Service) track(ctx context.Context, p *plan, t Target, c change, obj, old registry.Object) {
	if !c.managed && !t.throughView() {
		s.fields.Update(c.seen, t.Subresource, old, obj, managerOf(ctx), p.now)
		dropLargeFields(obj)
	}
}

const (
	// largestObject is an encoded object that a transaction has room for, beside what
	// goes with it.
	largestObject = replica.TransactionMax - 64<<10 // bytes
	// fewFields are managed fields that make no object too large.
	fewFields = 1 << 20 // bytes
)

// dropLargeFields has an object be stored without its managed fields where it could not
// be with them. Kubernetes does so, too: what is known of its fields is worth less than
// that it can be written. What is applied needs them, and is refused.
func dropLargeFields(obj registry.Object) {
	size := 0
	for _, entry := range obj.GetManagedFields() {
		if entry.FieldsV1 != nil {
			size += len(entry.FieldsV1.GetRawBytes())
		}
	}
	if size <= fewFields {
		return
	}
	if value, err := obj.Marshal(); err == nil && len(value) > largestObject {
		obj.SetManagedFields(nil)
	}
}
