package descriptors_test

import (
	"errors"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	_ "google.golang.org/protobuf/types/known/anypb"

	"github.com/musterhq/muster/services/apiserver/internal/descriptors"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
)

// Every kind that is served can be described.
func TestEveryKindIsDescribed(t *testing.T) {
	var resolver descriptors.Resolver
	for _, k := range catalog.New(registry.Options{}).Kinds() {
		found, err := resolver.FindDescriptorByName(protoreflect.FullName(k.Type))
		if err != nil {
			t.Errorf("%s: %v", k.Type, err)
			continue
		}
		message, ok := found.(protoreflect.MessageDescriptor)
		if !ok || message.Fields().ByNumber(1) == nil || message.Fields().ByNumber(1).Name() != "metadata" {
			t.Errorf("%s is described as %v", k.Type, found)
		}
	}
}

func TestResolver(t *testing.T) {
	var resolver descriptors.Resolver
	for _, path := range []string{"k8s.io/api/core/v1/generated.proto", "google/protobuf/any.proto"} {
		if f, err := resolver.FindFileByPath(path); err != nil || f.Path() != path {
			t.Errorf("%s: %v, %v", path, f, err)
		}
	}
	if _, err := resolver.FindFileByPath("none.proto"); !errors.Is(err, protoregistry.NotFound) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := resolver.FindDescriptorByName("k8s.io.api.core.v1.Pot"); !errors.Is(err, protoregistry.NotFound) {
		t.Errorf("a message that is not there: %v", err)
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var resolver descriptors.Resolver
		if _, err := resolver.FindDescriptorByName("k8s.io.api.core.v1.Pod"); err != nil {
			b.Fatal(err)
		}
	}
}
