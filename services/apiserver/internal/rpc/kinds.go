package rpc

import (
	"context"
	"reflect"

	"google.golang.org/protobuf/types/known/anypb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// metadataType is the message that holds the metadata of an object of any kind.
var metadataType = typePrefix + registry.TypeName(reflect.TypeFor[metav1.PartialObjectMetadata]())

// Kinds lists what is served.
func (s *Service) Kinds(context.Context, *apiv1.KindsRequest) (*apiv1.KindsResponse, error) {
	out := &apiv1.KindsResponse{}
	for _, k := range s.objects.Kinds().Kinds() {
		kind := &apiv1.Kind{
			Type: k.Type, Group: k.GVK.Group, Version: k.GVK.Version, Kind: k.GVK.Kind,
			Resource: k.Resource, Namespaced: k.Namespaced, Verbs: k.Verbs,
		}
		if k.Stored != nil {
			kind.StoredType = k.Stored.Kind.Type
		}
		out.Kinds = append(out.Kinds, kind)
	}
	return out, nil
}

// wrapped is an object, or its metadata alone.
func wrapped(o objects.Stored, metadataOnly bool) *anypb.Any {
	if !metadataOnly {
		return wrap(o)
	}
	return &anypb.Any{TypeUrl: metadataType, Value: o.Metadata()}
}

func wrapAll(items []objects.Stored, metadataOnly bool) []*anypb.Any {
	out := make([]*anypb.Any, len(items))
	for i, item := range items {
		out[i] = wrapped(item, metadataOnly)
	}
	return out
}
