package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// patchTypes are those that are served.
var patchTypes = map[apiv1.PatchType]types.PatchType{
	apiv1.PatchType_PATCH_TYPE_JSON:            types.JSONPatchType,
	apiv1.PatchType_PATCH_TYPE_MERGE:           types.MergePatchType,
	apiv1.PatchType_PATCH_TYPE_STRATEGIC_MERGE: types.StrategicMergePatchType,
	apiv1.PatchType_PATCH_TYPE_APPLY:           types.ApplyYAMLPatchType,
}

// validations say how strict one is. Code that patches knows its fields: unless it
// says otherwise, one that is unknown is a mistake.
var validations = map[apiv1.FieldValidation]codec.Validation{
	apiv1.FieldValidation_FIELD_VALIDATION_UNSPECIFIED: codec.Strict,
	apiv1.FieldValidation_FIELD_VALIDATION_IGNORE:      codec.Ignore,
	apiv1.FieldValidation_FIELD_VALIDATION_WARN:        codec.Warn,
	apiv1.FieldValidation_FIELD_VALIDATION_STRICT:      codec.Strict,
}

// Patch changes part of an object.
func (s *Service) Patch(ctx context.Context, r *apiv1.PatchRequest) (*apiv1.PatchResponse, error) {
	out := &apiv1.PatchResponse{}
	warn := func(text string) { out.Warnings = append(out.Warnings, text) }
	t, patch, err := s.patch(r, warn)
	if err != nil {
		return nil, asStatus(err)
	}
	if ctx, err = writing(ctx, r.GetFieldManager()); err != nil {
		return nil, asStatus(err)
	}
	o, err := s.objects.Patch(objects.WithWarnings(ctx, warn), t, patch, r.GetDryRun())
	if err != nil {
		return nil, asStatus(err)
	}
	out.Object = wrap(o)
	return out, nil
}

func (s *Service) patch(r *apiv1.PatchRequest, warn func(string)) (objects.Target, objects.Patch, error) {
	t, err := s.target(r.GetKey(), r.GetSubresource())
	if err != nil {
		return t, objects.Patch{}, err
	}
	kind, ok := patchTypes[r.GetType()]
	if !ok {
		return t, objects.Patch{}, objects.UnsupportedPatch()
	}
	validation, ok := validations[r.GetFieldValidation()]
	if !ok {
		return t, objects.Patch{}, apierrors.NewBadRequest(fmt.Sprintf("field_validation %d is unknown", r.GetFieldValidation()))
	}
	options := metav1.PatchOptions{FieldManager: r.GetFieldManager()}
	if r.GetForce() {
		options.Force = &r.Force
	}
	if errs := metavalidation.ValidatePatchOptions(&options, kind); len(errs) > 0 {
		return t, objects.Patch{}, apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("PatchOptions").GroupKind(), "", errs)
	}
	data := r.GetPatch()
	if kind == types.ApplyYAMLPatchType {
		data = typed(data, t.Kind.GVK)
	}
	return t, objects.Patch{Type: kind, Data: data, Force: r.GetForce(), Validation: validation, Warn: warn}, nil
}

// typed completes a manifest in JSON that does not say what it is of, as the objects of
// k8s.io/api do not: the key of the request does.
func typed(manifest []byte, gvk schema.GroupVersionKind) []byte {
	var said metav1.TypeMeta
	if json.Unmarshal(manifest, &said) != nil || said != (metav1.TypeMeta{}) {
		return manifest // which is told what is wrong with it, if anything is
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(manifest, &object) != nil || object == nil {
		return manifest
	}
	object["apiVersion"], object["kind"] = json.RawMessage(strconv.Quote(gvk.GroupVersion().String())), json.RawMessage(strconv.Quote(gvk.Kind))
	out, err := json.Marshal(object)
	if err != nil {
		return manifest
	}
	return out
}
