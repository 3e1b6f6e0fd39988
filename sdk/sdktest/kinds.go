package sdktest

import (
	"context"
	"maps"
	"reflect"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
)

// verbs are what this cluster can do with any kind.
var verbs = []string{"create", "delete", "get", "list", "patch", "update", "watch"}

// clusterWide are the kinds, among those that tests have, which have no namespace.
var clusterWide = []string{"k8s.io.api.core.v1.Node", "k8s.io.api.core.v1.Namespace", "k8s.io.api.core.v1.PersistentVolume"}

// Kinds lists the kinds that there are objects of, and those that own others in tests.
func (s *service) Kinds(context.Context, *apiv1.KindsRequest) (*apiv1.KindsResponse, error) {
	out := &apiv1.KindsResponse{}
	served := map[schema.GroupKind]bool{}
	for _, typ := range slices.Sorted(maps.Keys(knownTypes())) {
		obj, _ := blank(typ)
		gvks, _, err := scheme.Scheme.ObjectKinds(obj)
		if err != nil || gvks[0].Version != "v1" || !reflect.ValueOf(obj).Elem().FieldByName("ObjectMeta").IsValid() || served[gvks[0].GroupKind()] {
			continue
		}
		served[gvks[0].GroupKind()] = true
		out.Kinds = append(out.Kinds, &apiv1.Kind{
			Type: typ, Group: gvks[0].Group, Version: gvks[0].Version, Kind: gvks[0].Kind, Resource: resource(typ).Resource,
			Namespaced: !slices.Contains(clusterWide, typ), Verbs: verbs,
		})
	}
	return out, nil
}

// seen is an object as it is asked for: whole, or its metadata alone.
func seen(obj sdk.Object, metadataOnly bool) sdk.Object {
	if obj == nil || !metadataOnly {
		return obj
	}
	meta := obj.(metav1.ObjectMetaAccessor).GetObjectMeta().(*metav1.ObjectMeta)
	return &metav1.PartialObjectMetadata{ObjectMeta: *meta}
}
