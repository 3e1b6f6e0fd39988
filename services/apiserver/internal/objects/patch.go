package objects

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// largestJSONPatch is how many operations a JSON patch may have.
const largestJSONPatch = 10000

// PatchTypes are the forms of patches that are served.
var PatchTypes = []types.PatchType{types.JSONPatchType, types.MergePatchType, types.StrategicMergePatchType, types.ApplyYAMLPatchType}

// Patch is a change that is written as a difference, or as a configuration to apply.
type Patch struct {
	Type types.PatchType
	Data []byte
	// Force has what is applied take the fields that others manage.
	Force bool
	// Validation says what unknown and duplicate fields mean.
	Validation codec.Validation
	// Warn is told of what is accepted all the same; nil drops it.
	Warn func(text string)
}

// Patch changes part of an object. It is tried again when somebody else changes
// the object in between, unless the patch names a resourceVersion.
func (s *Service) Patch(ctx context.Context, t Target, patch Patch, dryRun bool) (Stored, error) {
	stored, _, err := s.Patched(ctx, t, patch, dryRun)
	return stored, err
}

func (s *Service) patchStep(ctx context.Context, t Target, patch Patch) (step, error) {
	if err := s.authorize(ctx, "patch", t, nil); err != nil {
		return nil, err
	}
	patch.tellOnce()
	if patch.Type == types.ApplyYAMLPatchType {
		return s.applyStep(ctx, t, patch)
	}
	return seenAs(t.Kind, func(p *plan) (Outcome, error) {
		return s.planUpdate(ctx, p, t.stored(), change{verb: "patch", seen: t.Kind, make: t.asSeen(func(old registry.Object) (registry.Object, error) {
			obj, err := patch.apply(old)
			if err != nil {
				return nil, err
			}
			_, err = matchURL(Target{Kind: t.Kind, Namespace: t.Namespace, Name: t.Name}, obj)
			return obj, err
		})})
	}), nil
}

// tellOnce has each warning told once, however often the patch is tried.
func (p *Patch) tellOnce() {
	warn, told := p.Warn, map[string]bool{}
	p.Warn = func(text string) {
		if warn != nil && !told[text] {
			told[text] = true
			warn(text)
		}
	}
}

// apply returns the object after the patch, and leaves old as it is.
func (p Patch) apply(old registry.Object) (registry.Object, error) {
	obj := reflect.New(reflect.TypeOf(old).Elem()).Interface().(registry.Object)
	merge := p.mergeJSON
	if p.Type == types.StrategicMergePatchType {
		merge = p.mergeStrategic
	}
	shown, found, err := merge(old, obj)
	if err != nil {
		return nil, err
	}
	warnings, err := p.Validation.Settle(found)
	if err != nil {
		return nil, notPatched(shown, err)
	}
	for _, text := range warnings {
		p.Warn(text)
	}
	gvk := old.GetObjectKind().GroupVersionKind()
	if got := obj.GetObjectKind().GroupVersionKind(); got != gvk {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the patch changes the object's type from %s to %s", gvk, got))
	}
	return obj, nil
}

// notPatched words the refusal of what a patch made. Kubernetes shows the patch itself
// if it is a strategic one, of the others what they made.
func notPatched(shown string, err error) error {
	return apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), shown, err.Error())})
}

// mergeJSON applies a JSON patch or a merge patch and reads the result into obj. It
// returns the result, and the fields that are unknown or given twice.
func (p Patch) mergeJSON(old, obj registry.Object) (string, []error, error) {
	before, err := json.Marshal(old)
	if err != nil {
		return "", nil, fmt.Errorf("encode %q to patch it: %w", old.GetName(), err)
	}
	apply := p.applyMergePatch
	if p.Type == types.JSONPatchType {
		apply = p.applyJSONPatch
	} else if p.Type != types.MergePatchType {
		return "", nil, UnsupportedPatch()
	}
	after, found, err := apply(before)
	if err != nil {
		return "", nil, err
	}
	more, err := p.Validation.Read(after, obj)
	if err != nil {
		return "", nil, notPatched(string(after), err)
	}
	return string(after), append(found, more...), nil
}

// UnsupportedPatch is the answer to a patch of another type.
func UnsupportedPatch() error {
	names := make([]string, len(PatchTypes))
	for i, name := range PatchTypes {
		names[i] = string(name)
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: "the body of the request was in an unknown format - accepted media types include: " + strings.Join(names, ", "),
	}}
}

// operation is what a JSON patch is made of, for the check of its fields.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	From  string `json:"from"`
	Value any    `json:"value"`
}

func (p Patch) applyJSONPatch(before []byte) (after []byte, found []error, err error) {
	if p.Validation != codec.Ignore {
		var fields []operation
		if found, err = p.Validation.Read(p.Data, &fields); err != nil {
			return nil, nil, undecodable(err)
		}
		for i := range found {
			found[i] = fmt.Errorf("json patch %w", found[i])
		}
	}
	operations, err := jsonpatch.DecodePatch(p.Data)
	if err != nil {
		return nil, nil, apierrors.NewBadRequest(err.Error())
	}
	if len(operations) > largestJSONPatch {
		return nil, nil, apierrors.NewRequestEntityTooLargeError(fmt.Sprintf(
			"The allowed maximum operations in a JSON patch is %d, got %d", largestJSONPatch, len(operations)))
	}
	if after, err = operations.Apply(before); err != nil {
		return nil, nil, unprocessable(err)
	}
	return after, found, nil
}

func (p Patch) applyMergePatch(before []byte) (after []byte, found []error, err error) {
	if p.Validation != codec.Ignore {
		if found, err = p.Validation.Read(p.Data, &map[string]any{}); err != nil {
			return nil, nil, undecodable(err)
		}
	}
	after, err = jsonpatch.MergePatch(before, p.Data)
	switch {
	case errors.Is(err, jsonpatch.ErrBadJSONPatch):
		return nil, nil, apierrors.NewBadRequest(err.Error())
	case err != nil:
		return nil, nil, unnamed(err)
	}
	return after, found, nil
}

func undecodable(err error) error {
	return apierrors.NewBadRequest(fmt.Sprintf("error decoding patch: %v", err))
}

func unprocessable(err error) error {
	return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error(), 0, false)
}

// unnamed is the answer to what Kubernetes has no name for: its words with code 500.
func unnamed(err error) error {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return err
	}
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Reason: metav1.StatusReasonUnknown, Message: err.Error(),
	}}
}
