package objects

import (
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/mergepatch"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// mergeStrategic applies a strategic merge patch and reads the result into obj. It
// returns the patch as errors show it, and the fields that are unknown or given twice.
func (p Patch) mergeStrategic(old, obj registry.Object) (string, []error, error) {
	before, err := runtime.DefaultUnstructuredConverter.ToUnstructured(old)
	if err != nil {
		return "", nil, fmt.Errorf("encode %q to patch it: %w", old.GetName(), err)
	}
	patch := map[string]any{}
	found, err := p.Validation.Read(p.Data, &patch)
	if err != nil {
		return "", nil, apierrors.NewBadRequest(err.Error())
	}
	after, err := strategicpatch.StrategicMergeMapPatch(before, patch, old)
	if err != nil {
		return "", nil, strategicRefused(err)
	}
	shown := fmt.Sprintf("%+v", patch)
	err = runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(after, obj, p.Validation != codec.Ignore)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		return shown, append(found, strict.Errors()...), nil
	}
	if err != nil {
		return "", nil, notPatched(shown, err)
	}
	return shown, found, nil
}

// What a strategic patch may get wrong: its own form, and what it asks of the object.
var (
	badStrategic = []error{
		mergepatch.ErrBadJSONDoc, mergepatch.ErrBadPatchFormatForPrimitiveList, mergepatch.ErrBadPatchFormatForRetainKeys,
		mergepatch.ErrBadPatchFormatForSetElementOrderList, mergepatch.ErrUnsupportedStrategicMergePatchFormat,
	}
	unfitStrategic = []error{mergepatch.ErrNoListOfLists, mergepatch.ErrPatchContentNotMatchRetainKeys}
)

func strategicRefused(err error) error {
	is := func(known error) bool { return errors.Is(err, known) }
	switch {
	case slices.ContainsFunc(badStrategic, is):
		return apierrors.NewBadRequest(err.Error())
	case slices.ContainsFunc(unfitStrategic, is):
		return unprocessable(err)
	}
	return unnamed(err)
}
