package objects

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/apimachinery/pkg/util/validation/field"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// largestJSONPatch is how many operations a JSON patch may have.
const largestJSONPatch = 10000

// Patch is a change that is written as a difference.
type Patch struct {
	Type types.PatchType
	Data []byte
	// Validation says what unknown and duplicate fields mean.
	Validation codec.Validation
	// Warn is told of what is accepted all the same; nil drops it.
	Warn func(text string)
}

// Patch changes part of an object. It is tried again when somebody else changes
// the object in between, unless the patch names a resourceVersion.
func (s *Service) Patch(ctx context.Context, t Target, patch Patch, dryRun bool) (Stored, error) {
	st, err := s.patchStep(ctx, t, patch)
	if err != nil {
		return Stored{}, err
	}
	return s.finish(ctx, t, dryRun, st)
}

func (s *Service) patchStep(ctx context.Context, t Target, patch Patch) (step, error) {
	if err := s.authorize(ctx, "patch", t, nil); err != nil {
		return nil, err
	}
	raw, err := utilyaml.ToJSON(patch.Data)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
	}
	patch.Data = raw
	if len(raw) == 0 {
		return nil, apierrors.NewBadRequest("error decoding patch: it is empty")
	}
	warned := map[string]bool{}
	return seenAs(t.Kind, func(p *plan) (Outcome, error) {
		return s.planUpdate(ctx, p, t.stored(), "patch", t.asSeen(func(old registry.Object) (registry.Object, error) {
			obj, warnings, err := patch.apply(old.DeepCopyObject().(registry.Object))
			for _, w := range warnings {
				if patch.Warn != nil && !warned[w] {
					warned[w] = true
					patch.Warn(w)
				}
			}
			if err != nil {
				return nil, err
			}
			_, err = matchURL(Target{Kind: t.Kind, Namespace: t.Namespace, Name: t.Name}, obj)
			return obj, err
		}))
	}), nil
}

func (p Patch) apply(old registry.Object) (registry.Object, []string, error) {
	before, err := json.Marshal(old)
	if err != nil {
		return nil, nil, fmt.Errorf("encode %q to patch it: %w", old.GetName(), err)
	}
	after, err := p.merge(before, old)
	if err != nil {
		return nil, nil, err
	}
	obj := reflect.New(reflect.TypeOf(old).Elem()).Interface().(registry.Object)
	warnings, err := codec.DecodeFields(after, obj, p.Validation)
	if err != nil {
		return nil, nil, p.invalid(after, err)
	}
	gvk := old.GetObjectKind().GroupVersionKind()
	if got := obj.GetObjectKind().GroupVersionKind(); got != gvk {
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("the patch changes the object's type from %s to %s", gvk, got))
	}
	return obj, warnings, nil
}

// invalid words the refusal of what the patch made, as Kubernetes does: a
// strategic patch is shown itself, of the others what they made.
func (p Patch) invalid(after []byte, err error) error {
	shown := string(after)
	if p.Type == types.StrategicMergePatchType {
		var patch map[string]any
		if json.Unmarshal(p.Data, &patch) == nil {
			shown = fmt.Sprintf("%+v", patch)
		}
	}
	return apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), shown, err.Error())})
}

// merge returns the JSON after the patch.
func (p Patch) merge(before []byte, old registry.Object) ([]byte, error) {
	switch p.Type {
	case types.JSONPatchType:
		return applyJSONPatch(before, p.Data)
	case types.MergePatchType:
		return applyMergePatch(before, p.Data)
	case types.StrategicMergePatchType:
		return applyStrategic(before, p.Data, old)
	}
	return nil, UnsupportedPatch(string(p.Type))
}

// UnsupportedPatch is the answer to a patch of another type.
func UnsupportedPatch(contentType string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: fmt.Sprintf("the body of the request was in an unknown format - accepted media types include: %s, %s, %s (got %q)",
			types.JSONPatchType, types.MergePatchType, types.StrategicMergePatchType, contentType),
	}}
}

func applyJSONPatch(before, patch []byte) ([]byte, error) {
	operations, err := jsonpatch.DecodePatch(patch)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
	}
	if len(operations) > largestJSONPatch {
		return nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
			"The allowed maximum operations in a JSON patch is %d, got %d", largestJSONPatch, len(operations)))
	}
	after, err := operations.Apply(before)
	if err != nil {
		return nil, unprocessable(err)
	}
	return after, nil
}

func applyMergePatch(before, patch []byte) ([]byte, error) {
	var fields map[string]any
	if err := json.Unmarshal(patch, &fields); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
	}
	after, err := jsonpatch.MergePatch(before, patch)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return after, nil
}

func applyStrategic(before, patch []byte, old registry.Object) ([]byte, error) {
	var fields map[string]any
	if err := json.Unmarshal(patch, &fields); err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
	}
	after, err := strategicpatch.StrategicMergePatch(before, patch, old)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	return after, nil
}

func unprocessable(err error) error {
	return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
}
