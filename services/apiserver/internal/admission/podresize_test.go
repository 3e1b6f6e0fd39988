package admission_test

import (
	"errors"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/services/apiserver/internal/admission"
)

// The words and the causes are those that Kubernetes' own tests of the plugin expect.
func TestResizesThatNoNodeCouldGrant(t *testing.T) {
	const had = `containers: [{name: a, resources: {requests: {cpu: 1, memory: 1Gi}}}]`
	of := func(cpu, memory string) string {
		return `containers: [{name: a, resources: {requests: {cpu: ` + cpu + `, memory: ` + memory + `}}}]`
	}
	for _, test := range []struct {
		name, node, spec, want, cause string
	}{
		{"fits", "lin", of("2", "2Gi"), "", ""},
		{"has no node yet", "", of("3", "1Gi"), "", ""},
		{"cpu", "lin", of("2500m", "1Gi"),
			`pods "p" is forbidden: node didn't have enough allocatable resources: cpu, requested: 2500, allocatable: 2000`, "NodeCapacity"},
		{"both", "lin", of("3", "3Gi"),
			`pods "p" is forbidden: node didn't have enough allocatable resources: cpu, requested: 3000, allocatable: 2000; memory, requested: 3221225472, allocatable: 2147483648`, "NodeCapacity"},
		{"another system", "win", of("2", "1Gi"), `pods "p" is forbidden: pod resize is only supported on linux nodes, node "win" is "windows"`, "UnsupportedPlatform"},
		{"node is gone", "x", of("2", "1Gi"), `pods "p" is forbidden: node "x" not found`, ""},
		{"nothing changes", "x", had, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			v := stored(t, "node\nmetadata: {name: lin, labels: {kubernetes.io/os: linux}}\nstatus: {allocatable: {cpu: 2, memory: 2Gi}}",
				"node\nmetadata: {name: win, labels: {kubernetes.io/os: windows}}\nstatus: {allocatable: {cpu: 2, memory: 2Gi}}")
			obj, old := pod(t, test.spec), pod(t, had)
			obj.Spec.NodeName, old.Spec.NodeName = test.node, test.node
			if test.spec != had {
				obj.Generation = old.Generation + 1
			}
			k, _ := kinds.Of(obj)
			err := admission.New(kinds, admission.Options{}).For(k, "resize").Check(&admission.Request{
				Operation: admission.Update, Kind: k, Namespace: "ns", Name: "p", Subresource: "resize", Object: obj, Old: old, View: v,
			})
			got, cause := "", ""
			var status *apierrors.StatusError
			if errors.As(err, &status) {
				got = status.Error()
				for _, c := range status.ErrStatus.Details.Causes {
					cause += string(c.Type)
				}
			}
			if got != test.want || cause != test.cause {
				t.Errorf("refused with %q because of %q\nwant %q because of %q", got, cause, test.want, test.cause)
			}
		})
	}
}
