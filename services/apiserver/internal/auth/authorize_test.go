package auth_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// cluster holds a pod on n1 that needs a secret.
func cluster() *state.Store {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "p", UID: "u1"}, Spec: corev1.PodSpec{
		NodeName: "n1", ServiceAccountName: "robot",
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "needed"}},
		Volumes: []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
		}}},
	}}
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "data"},
		Spec: corev1.PersistentVolumeClaimSpec{VolumeName: "disk"}}
	store := state.New()
	for i, obj := range map[string]interface {
		metav1.Object
		Marshal() ([]byte, error)
	}{"pods": pod, "persistentvolumeclaims": claim} {
		value, err := obj.Marshal()
		if err != nil {
			panic(err)
		}
		op := &storev1.Operation{
			Key:    &storev1.Key{Resource: i, Namespace: "default", Name: obj.GetName()},
			Action: storev1.Action_ACTION_PUT, Value: value, Index: []string{"spec.nodeName=n1"},
		}
		store.Apply(store.View().Index()+1, &storev1.Command{Transactions: []*storev1.Transaction{{Operations: []*storev1.Operation{op}}}})
	}
	return store
}

func authorizer() *auth.Authorizer { return auth.NewAuthorizer(cluster()) }

func user(id pki.Identity) access.User { return access.User{Name: id.User, Groups: id.Groups} }

var (
	node      = user(pki.NodeIdentity("n1"))
	admin     = user(pki.AdminIdentity())
	scheduler = access.User{Name: pki.UserScheduler}
	manager   = access.User{Name: pki.UserControllerManager}
	nobody    = access.User{Name: "eve"}
)

func TestAuthorize(t *testing.T) {
	lease := schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
	core := func(resource string) schema.GroupResource { return schema.GroupResource{Resource: resource} }
	for _, test := range []struct {
		user     access.User
		verb     string
		resource schema.GroupResource
		sub      string
		ns, name string
		fields   string
		want     bool
	}{
		{admin, "delete", core("secrets"), "", "default", "x", "", true},
		{nobody, "get", core("pods"), "", "default", "x", "", false},
		{scheduler, "create", core("pods"), "binding", "default", "x", "", true},
		{scheduler, "create", core("pods"), "", "default", "x", "", false},
		{scheduler, "get", core("secrets"), "", "default", "x", "", false},
		{scheduler, "update", lease, "", "kube-system", "muster-scheduler", "", true},
		{manager, "create", core("pods"), "", "default", "", "", true},
		{manager, "update", core("secrets"), "", "default", "x", "", false},
		{manager, "create", core("pods"), "binding", "default", "x", "", false},
		{node, "list", core("pods"), "", "", "", "spec.nodeName=n1", true},
		{node, "list", core("pods"), "", "", "", "spec.nodeName=n2", false},
		{node, "list", core("pods"), "", "", "", "", false},
		{node, "get", core("secrets"), "", "default", "needed", "", true},
		{node, "get", core("secrets"), "", "default", "other", "", false},
		{node, "list", core("secrets"), "", "default", "", "", false},
		{node, "list", core("services"), "", "", "", "", true},
		{node, "update", core("nodes"), "status", "", "n1", "", true},
		{node, "update", core("nodes"), "status", "", "n2", "", true}, // AuthorizeChange refuses it
		{node, "delete", core("nodes"), "", "", "n2", "", false},
		{node, "create", core("pods"), "", "default", "", "", true}, // AuthorizeChange wants a mirror pod
		{node, "create", core("pods"), "exec", "default", "x", "", false},
		{node, "create", core("serviceaccounts"), "token", "default", "x", "", false},
		{node, "create", core("serviceaccounts"), "token", "default", "robot", "", true},
		{node, "get", core("serviceaccounts"), "", "default", "robot", "", false},
		{node, "get", core("persistentvolumeclaims"), "", "default", "data", "", true},
		{node, "get", core("persistentvolumeclaims"), "", "default", "other", "", false},
		{node, "update", core("persistentvolumeclaims"), "", "default", "data", "", false},
		{node, "update", core("persistentvolumeclaims"), "status", "default", "data", "", true},
		{node, "get", core("persistentvolumes"), "", "", "disk", "", true},
		{node, "get", core("persistentvolumes"), "", "", "other", "", false},
		{node, "list", schema.GroupResource{Group: "resource.k8s.io", Resource: "resourceslices"}, "", "", "", "", false},
		{node, "get", schema.GroupResource{Group: "storage.k8s.io", Resource: "csinodes"}, "", "", "n1", "", true},
		{node, "get", schema.GroupResource{Group: "storage.k8s.io", Resource: "csinodes"}, "", "", "n2", "", false},
		{node, "update", lease, "", "kube-node-lease", "n1", "", true},
		{node, "update", lease, "", "kube-node-lease", "n2", "", false},
		{node, "update", lease, "", "kube-system", "n1", "", false},
	} {
		selector, err := fields.ParseSelector(test.fields)
		if err != nil {
			t.Fatal(err)
		}
		err = authorizer().Authorize(auth.Request{User: test.user, Verb: test.verb, Resource: test.resource, Subresource: test.sub,
			Namespace: test.ns, Name: test.name, Fields: selector})
		if (err == nil) != test.want {
			t.Errorf("%s %s %s/%s %s/%s %q: %v", test.user.Name, test.verb, test.resource, test.sub, test.ns, test.name, test.fields, err)
		}
	}
}

func TestForbiddenText(t *testing.T) {
	for _, test := range []struct {
		request auth.Request
		want    string
	}{
		{auth.Request{User: nobody, Verb: "list", Resource: schema.GroupResource{Resource: "pods"}, Namespace: "default"},
			`pods is forbidden: User "eve" cannot list resource "pods" in API group "" in the namespace "default"`},
		{auth.Request{User: nobody, Verb: "update", Resource: schema.GroupResource{Group: "apps", Resource: "deployments"}, Subresource: "scale", Namespace: "default", Name: "web"},
			`deployments.apps "web" is forbidden: User "eve" cannot update resource "deployments/scale" in API group "apps" in the namespace "default"`},
		{auth.Request{User: nobody, Verb: "get", Resource: schema.GroupResource{Resource: "nodes"}, Name: "n1"},
			`nodes "n1" is forbidden: User "eve" cannot get resource "nodes" in API group "" at the cluster scope`},
	} {
		if err := authorizer().Authorize(test.request); err == nil || err.Error() != test.want {
			t.Errorf("got  %v\nwant %s", err, test.want)
		}
	}
}

func TestNodeTouchesOnlyItsOwn(t *testing.T) {
	pod := func(node string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{NodeName: node}}
	}
	request := auth.Request{User: node, Verb: "update", Resource: schema.GroupResource{Resource: "pods"}, Subresource: "status", Namespace: "default", Name: "p"}
	if err := authorizer().AuthorizeChange(request, pod("n1"), pod("n1")); err != nil {
		t.Errorf("own pod: %v", err)
	}
	if err := authorizer().AuthorizeChange(request, pod("n2"), nil); err == nil {
		t.Error("another node's pod was let through")
	}
	create := auth.Request{User: node, Verb: "create", Resource: schema.GroupResource{Resource: "nodes"}}
	if err := authorizer().AuthorizeChange(create, nil, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n2"}}); err == nil {
		t.Error("a node of another name was let through")
	}
}

func TestNodeTouchesOnlyItsOwnEvents(t *testing.T) {
	event := func(host string) *corev1.Event {
		return &corev1.Event{ObjectMeta: metav1.ObjectMeta{Name: "e"}, Source: corev1.EventSource{Host: host}}
	}
	request := auth.Request{User: node, Verb: "get", Resource: schema.GroupResource{Resource: "events"}, Namespace: "default", Name: "e"}
	for _, verb := range []string{"get", "create", "update", "patch"} {
		request.Verb = verb
		if err := authorizer().Authorize(request); err != nil {
			t.Errorf("%s: %v", verb, err)
		}
	}
	if err := authorizer().AuthorizeChange(request, event("n1"), event("n1")); err != nil {
		t.Errorf("own event: %v", err)
	}
	if err := authorizer().AuthorizeChange(request, event("n2"), nil); err == nil {
		t.Error("another node's event was let through")
	}
	if err := authorizer().AuthorizeChange(request, event("n1"), event("n2")); err == nil {
		t.Error("an event was given to another node")
	}
}

func TestNodeRestriction(t *testing.T) {
	labelled := func(taint string, labels ...string) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{}}}
		for _, l := range labels {
			n.Labels[l] = "x"
		}
		if taint != "" {
			n.Spec.Taints = []corev1.Taint{{Key: taint, Effect: corev1.TaintEffectNoSchedule}}
		}
		return n
	}
	const text = `nodes "n1" is forbidden: `
	for _, test := range []struct {
		name     string
		old, obj *corev1.Node
		want     string // empty: allowed
	}{
		{"its own labels", labelled(""), labelled("", "kubernetes.io/hostname", "topology.kubernetes.io/zone", "node.kubernetes.io/x", "disk", "example.com/rack"), ""},
		{"a role", labelled(""), labelled("", "node-role.kubernetes.io/control-plane"), text + "is not allowed to modify labels: node-role.kubernetes.io/control-plane"},
		{"isolation taken away", labelled("", "node-restriction.kubernetes.io/team"), labelled(""), text + "is not allowed to modify labels: node-restriction.kubernetes.io/team"},
		{"isolation kept", labelled("", "node-restriction.kubernetes.io/team"), labelled("", "node-restriction.kubernetes.io/team", "disk"), ""},
		{"a taint taken away", labelled("dedicated"), labelled(""), text + `node "n1" is not allowed to modify taints`},
		{"a taint kept", labelled("dedicated"), labelled("dedicated", "disk"), ""},
		{"a new node's taint", nil, labelled("dedicated"), ""},
		{"a new node's role", nil, labelled("", "node-role.kubernetes.io/control-plane"), text + `node "n1" is not allowed to set the following labels: node-role.kubernetes.io/control-plane`},
	} {
		request := auth.Request{User: node, Verb: "patch", Resource: schema.GroupResource{Resource: "nodes"}, Name: "n1"}
		var old metav1.Object
		if test.old != nil {
			old = test.old
		}
		got := ""
		if err := authorizer().AuthorizeChange(request, old, test.obj); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.name, got, test.want)
		}
	}
}
