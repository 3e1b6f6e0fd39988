package sdktest

import (
	"encoding/json"
	"fmt"
	"strings"

	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
)

func decode(a *anypb.Any) (sdk.Object, key, error) {
	typ := a.GetTypeUrl()[strings.LastIndex(a.GetTypeUrl(), "/")+1:]
	obj, ok := blank(typ)
	if !ok {
		return nil, key{}, apierrors.NewBadRequest("unknown type " + typ)
	}
	if err := obj.Unmarshal(a.GetValue()); err != nil {
		return nil, key{}, apierrors.NewBadRequest(err.Error())
	}
	return obj, key{typ, obj.GetNamespace(), obj.GetName()}, nil
}

func keyFrom(k *apiv1.ObjectKey) key { return key{k.GetType(), k.GetNamespace(), k.GetName()} }

func (tx *transaction) create(r *apiv1.CreateRequest) (sdk.Object, error) {
	if r.GetSubresource() == "binding" {
		return tx.bind(r)
	}
	obj, k, err := decode(r.GetObject())
	if err != nil {
		return nil, err
	}
	uid := tx.newUID()
	if k.name == "" && obj.GetGenerateName() != "" {
		k.name = fmt.Sprintf("%s%05x", obj.GetGenerateName(), tx.uids)
		obj.SetName(k.name)
	}
	if _, err := tx.get(k); err == nil {
		return nil, apierrors.NewAlreadyExists(resource(k.typ), k.name)
	}
	if err := tx.open(k); err != nil {
		return nil, err
	}
	obj.SetUID(uid)
	obj.SetCreationTimestamp(now())
	obj.SetGeneration(1)
	switch o := obj.(type) {
	case *corev1.Node:
		// A node registers with its status.
	case *corev1.Pod:
		o.Status = corev1.PodStatus{Phase: corev1.PodPending}
	default:
		if s := status(obj); s.IsValid() {
			s.SetZero()
		}
	}
	tx.put(k, obj)
	return obj, nil
}

// open refuses what is new in a namespace that is being deleted. One that a test did
// not create is open.
func (tx *transaction) open(k key) error {
	namespace, err := tx.get(key{sdk.TypeName(&corev1.Namespace{}), "", k.namespace})
	if k.namespace == "" || err != nil || namespace.GetDeletionTimestamp() == nil {
		return nil
	}
	refused := apierrors.NewForbidden(resource(k.typ), k.name, fmt.Errorf("unable to create new content in namespace %s because it is being terminated", k.namespace))
	refused.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: corev1.NamespaceTerminatingCause, Field: "metadata.namespace"}}
	return refused
}

func (tx *transaction) bind(r *apiv1.CreateRequest) (sdk.Object, error) {
	sub, _, err := decode(r.GetObject())
	if err != nil {
		return nil, err
	}
	binding, ok := sub.(*corev1.Binding)
	if !ok {
		return nil, apierrors.NewBadRequest("not a Binding")
	}
	k := keyFrom(r.GetKey())
	obj, err := tx.get(k)
	if err != nil {
		return nil, err
	}
	pod := obj.(*corev1.Pod)
	conflict := func(format string, args ...any) error {
		return apierrors.NewConflict(resource(k.typ), k.name, fmt.Errorf(format, args...))
	}
	switch {
	case binding.UID != "" && binding.UID != pod.UID:
		return nil, conflict("uid %s does not match %s", binding.UID, pod.UID)
	case pod.DeletionTimestamp != nil:
		return nil, conflict("pod %s is being deleted, cannot be assigned to a host", pod.Name)
	case pod.Spec.NodeName != "":
		return nil, conflict("pod %s is already assigned to node %q", pod.Name, pod.Spec.NodeName)
	}
	pod.Spec.NodeName = binding.Target.Name
	var kept []corev1.PodCondition
	for _, c := range pod.Status.Conditions {
		if c.Type != corev1.PodScheduled {
			kept = append(kept, c)
		}
	}
	pod.Status.Conditions = append(kept, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: now()})
	tx.put(k, pod)
	return pod, nil
}

// conditional checks the uid and resourceVersion that a writer names.
func conditional(k key, have sdk.Object, uid, version string) error {
	if (uid != "" && uid != string(have.GetUID())) || (version != "" && version != have.GetResourceVersion()) {
		return apierrors.NewConflict(resource(k.typ), k.name,
			fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
	}
	return nil
}

func (tx *transaction) update(a *anypb.Any) (sdk.Object, error) {
	obj, k, err := decode(a)
	if err != nil {
		return nil, err
	}
	old, err := tx.get(k)
	if err != nil {
		return nil, err
	}
	if err := conditional(k, old, string(obj.GetUID()), obj.GetResourceVersion()); err != nil {
		return nil, err
	}
	copyStatus(obj, old)
	return tx.replace(k, obj, old)
}

// replace stores a changed object; one that was waiting for its last finalizer
// goes away.
func (tx *transaction) replace(k key, obj, old sdk.Object) (sdk.Object, error) {
	obj.SetUID(old.GetUID())
	obj.SetCreationTimestamp(old.GetCreationTimestamp())
	obj.SetDeletionTimestamp(old.GetDeletionTimestamp())
	obj.SetDeletionGracePeriodSeconds(old.GetDeletionGracePeriodSeconds())
	obj.SetGeneration(old.GetGeneration())
	if specOf(obj) != specOf(old) {
		obj.SetGeneration(old.GetGeneration() + 1)
	}
	_, pod := obj.(*corev1.Pod)
	if obj.GetDeletionTimestamp() != nil && len(obj.GetFinalizers()) == 0 && len(old.GetFinalizers()) > 0 && !pod {
		tx.put(k, nil)
		return obj, nil
	}
	tx.put(k, obj)
	return obj, nil
}

func (tx *transaction) updateStatus(a *anypb.Any) (sdk.Object, error) {
	given, k, err := decode(a)
	if err != nil {
		return nil, err
	}
	obj, err := tx.get(k)
	if err != nil {
		return nil, err
	}
	if err := conditional(k, obj, string(given.GetUID()), given.GetResourceVersion()); err != nil {
		return nil, err
	}
	copyStatus(obj, given)
	// As in Kubernetes, annotations may go with a status.
	obj.SetAnnotations(given.GetAnnotations())
	tx.put(k, obj)
	return obj, nil
}

func (tx *transaction) patch(r *apiv1.PatchRequest) (sdk.Object, error) {
	k := keyFrom(r.GetKey())
	old, err := tx.get(k)
	if err != nil && r.GetType() == apiv1.PatchType_PATCH_TYPE_APPLY {
		return tx.applyNew(k, r.GetPatch())
	}
	if err != nil {
		return nil, err
	}
	doc, err := json.Marshal(old)
	if err != nil {
		return nil, err
	}
	switch r.GetType() {
	case apiv1.PatchType_PATCH_TYPE_MERGE, apiv1.PatchType_PATCH_TYPE_APPLY: // Nobody owns fields here.
		doc, err = mergePatch(doc, r.GetPatch())
	case apiv1.PatchType_PATCH_TYPE_STRATEGIC_MERGE:
		doc, err = strategicpatch.StrategicMergePatch(doc, r.GetPatch(), old)
	default:
		err = fmt.Errorf("sdktest: patch type %v is not supported", r.GetType())
	}
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	obj, _ := blank(k.typ)
	if err := json.Unmarshal(doc, obj); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if err := conditional(k, old, string(obj.GetUID()), obj.GetResourceVersion()); err != nil {
		return nil, err
	}
	if r.GetSubresource() == "status" {
		copyStatus(old, obj)
		tx.put(k, old)
		return old, nil
	}
	copyStatus(obj, old)
	return tx.replace(k, obj, old)
}

// applyNew stores an object that a manifest makes.
func (tx *transaction) applyNew(k key, manifest []byte) (sdk.Object, error) {
	obj, ok := blank(k.typ)
	if !ok {
		return nil, apierrors.NewBadRequest("unknown type " + k.typ)
	}
	if err := json.Unmarshal(manifest, obj); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	a, err := sdk.Encode(obj)
	if err != nil {
		return nil, err
	}
	return tx.create(&apiv1.CreateRequest{Object: a})
}

// mergePatch is RFC 7386.
func mergePatch(doc, patch []byte) ([]byte, error) {
	var d, p any
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(patch, &p); err != nil {
		return nil, err
	}
	return json.Marshal(merged(d, p))
}

func merged(doc, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	d, ok := doc.(map[string]any)
	if !ok {
		d = map[string]any{}
	}
	for k, v := range p {
		if v == nil {
			delete(d, k)
		} else {
			d[k] = merged(d[k], v)
		}
	}
	return d
}

// delete removes at once, but for objects with finalizers and pods on a node,
// which are given their grace.
func (tx *transaction) delete(r *apiv1.DeleteRequest) (obj sdk.Object, gone bool, err error) {
	k := keyFrom(r.GetKey())
	if obj, err = tx.get(k); err != nil {
		return nil, false, err
	}
	if err := conditional(k, obj, r.GetUid(), r.GetResourceVersion()); err != nil {
		return nil, false, err
	}
	grace := int64(0)
	if pod, ok := obj.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
		grace = 30
		if pod.Spec.TerminationGracePeriodSeconds != nil {
			grace = *pod.Spec.TerminationGracePeriodSeconds
		}
		if r.GracePeriodSeconds != nil {
			grace = r.GetGracePeriodSeconds()
		}
	}
	if r.GetPropagationPolicy() == string(metav1.DeletePropagationForeground) {
		obj.SetFinalizers(append(obj.GetFinalizers(), metav1.FinalizerDeleteDependents))
	}
	if grace == 0 && len(obj.GetFinalizers()) == 0 {
		tx.put(k, nil)
		return obj, true, nil
	}
	if obj.GetDeletionTimestamp() == nil {
		at := metav1.NewTime(now().Add(secondsOf(grace)))
		obj.SetDeletionTimestamp(&at)
		obj.SetDeletionGracePeriodSeconds(&grace)
		tx.put(k, obj)
	}
	return obj, false, nil
}
