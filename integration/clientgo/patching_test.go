package clientgo_test

import (
	"encoding/json"
	"errors"
	"net/http"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

func (l *life) patch() {
	l.t.Helper()
	for _, p := range []struct {
		form types.PatchType
		data string
	}{
		{types.JSONPatchType, `[{"op": "test", "path": "/metadata/annotations/updated", "value": "yes"}, {"op": "add", "path": "/metadata/annotations/json", "value": "yes"}]`},
		{types.MergePatchType, `{"metadata": {"annotations": {"json": null, "merge": "yes"}}}`},
		{types.StrategicMergePatchType, `{"metadata": {"annotations": {"strategic": "yes"}}}`},
	} {
		obj, err := l.client.write(l.ctx, "Patch", l.now.GetName(), p.form, []byte(p.data), metav1.PatchOptions{FieldManager: "patcher"})
		l.wrote(watch.Modified, obj, err)
	}
	if a := l.now.GetAnnotations(); a["json"] != "" || a["merge"] != "yes" || a["strategic"] != "yes" || a["updated"] != "yes" {
		l.t.Errorf("after all patches: %v", a)
	}
	wrong := `[{"op": "test", "path": "/metadata/name", "value": "another"}]`
	_, err := l.client.write(l.ctx, "Patch", l.now.GetName(), types.JSONPatchType, []byte(wrong), metav1.PatchOptions{})
	if status := apierrors.APIStatus(nil); !errors.As(err, &status) || status.Status().Code != http.StatusUnprocessableEntity {
		l.t.Errorf("patch whose test fails: %v", err)
	}
	unknown := `{"metadata": {"colour": "blue"}}`
	_, err = l.client.write(l.ctx, "Patch", l.now.GetName(), types.MergePatchType, []byte(unknown), metav1.PatchOptions{FieldValidation: metav1.FieldValidationStrict})
	if !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) {
		l.t.Errorf("patch with an unknown field: %v", err)
	}
}

// apply applies the sample by its own apply configuration, and its status likewise.
func (l *life) apply() {
	l.t.Helper()
	config := l.configuration("Apply", "status")
	obj, err := l.client.write(l.ctx, "Apply", config, metav1.ApplyOptions{FieldManager: "applier", Force: true})
	l.wrote(watch.Modified, obj, err)
	if !managed(obj, "applier", metav1.ManagedFieldsOperationApply, "") {
		l.t.Errorf("applied, and managed by %v", obj.GetManagedFields())
	}
	if !l.hasStatus() {
		return
	}
	config = l.configuration("ApplyStatus", "spec")
	obj, err = l.client.write(l.ctx, "ApplyStatus", config, metav1.ApplyOptions{FieldManager: "applier", Force: true})
	l.wrote(watch.Modified, obj, err)
	if !managed(obj, "applier", metav1.ManagedFieldsOperationApply, "status") || !equality.Semantic.DeepEqual(statusOf(obj), statusOf(l.sample)) {
		l.t.Errorf("applied status %+v, managed by %v", statusOf(obj), obj.GetManagedFields())
	}
}

// configuration makes the sample into what a method applies, but for a field.
func (l *life) configuration(method, without string) any {
	l.t.Helper()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(l.sample)
	if err != nil {
		l.t.Fatal(err)
	}
	delete(fields, without)
	fields["apiVersion"], fields["kind"] = l.resource.gvk.ToAPIVersionAndKind()
	raw, err := json.Marshal(fields)
	if err != nil {
		l.t.Fatal(err)
	}
	config := l.client.argument(method)
	if err := json.Unmarshal(raw, config); err != nil {
		l.t.Fatal(err)
	}
	return config
}
