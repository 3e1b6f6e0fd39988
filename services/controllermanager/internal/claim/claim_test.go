package claim_test

import (
	"slices"
	"testing"
	"testing/synctest"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/sdktest"
	"github.com/musterhq/muster/services/controllermanager/internal/claim"
)

var kind = appsv1.SchemeGroupVersion.WithKind("ReplicaSet")

// set selects the pods with a label app.
func set(namespace, name, app string) *appsv1.ReplicaSet {
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + "/" + name)},
		Spec:       appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}},
	}
}

// pod has a label app and, unless owner is nil, that controller.
func pod(name, app string, owner *appsv1.ReplicaSet) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, Labels: map[string]string{"app": app}}}
	if owner != nil {
		claim.Adopted(owner, kind, p)
	}
	return p
}

func ending[T metav1.Object](obj T) T {
	obj.SetDeletionTimestamp(&metav1.Time{})
	return obj
}

func names(pods []*corev1.Pod) []string {
	var out []string
	for _, p := range pods {
		out = append(out, p.Name)
	}
	return out
}

func TestSort(t *testing.T) {
	owner, other := set("a", "web", "web"), set("a", "other", "web")
	elsewhere := pod("elsewhere", "web", nil)
	elsewhere.Namespace = "b"
	pods := []*corev1.Pod{
		pod("owned", "web", owner), pod("orphan", "web", nil), pod("strayed", "db", owner), pod("another's", "web", other),
		pod("stranger", "db", nil), ending(pod("ending", "web", nil)), ending(pod("owned and ending", "web", owner)), elsewhere,
	}
	selector := labels.SelectorFromSet(labels.Set{"app": "web"})
	got := claim.Sort(owner, selector, pods)
	if want := []string{"owned", "owned and ending"}; !slices.Equal(names(got.Owned), want) {
		t.Errorf("owned %q, want %q", names(got.Owned), want)
	}
	if want := []string{"orphan"}; !slices.Equal(names(got.Adopt), want) {
		t.Errorf("adopt %q, want %q", names(got.Adopt), want)
	}
	if want := []string{"strayed"}; !slices.Equal(names(got.Release), want) {
		t.Errorf("release %q, want %q", names(got.Release), want)
	}
	if got := claim.Sort(ending(owner), selector, pods); len(got.Owned) != 2 || len(got.Adopt)+len(got.Release) != 0 {
		t.Errorf("an owner that is ending owns %q, adopts %q, releases %q", names(got.Owned), names(got.Adopt), names(got.Release))
	}
}

func TestReleasedIsTheOppositeOfAdopted(t *testing.T) {
	owner, other := set("a", "web", "web"), set("a", "other", "web")
	p := pod("p", "web", other)
	p.OwnerReferences[0].Controller = ptr.To(false)
	claim.Adopted(owner, kind, p)
	if !metav1.IsControlledBy(p, owner) || len(p.OwnerReferences) != 2 {
		t.Errorf("adopted: %v", p.OwnerReferences)
	}
	claim.Released(owner, p)
	if len(p.OwnerReferences) != 1 || p.OwnerReferences[0].UID != other.UID {
		t.Errorf("released: %v", p.OwnerReferences)
	}
}

func TestConcerned(t *testing.T) {
	everything, broken := set("a", "everything", "web"), set("a", "broken", "web")
	everything.Spec.Selector = &metav1.LabelSelector{}
	broken.Spec.Selector.MatchLabels = map[string]string{"app": "not a label value"}
	sets := []*appsv1.ReplicaSet{set("a", "web", "web"), set("a", "web2", "web"), set("a", "db", "db"), set("b", "web", "web"), everything, broken}
	concerned := claim.Concerned[*corev1.Pod]("ReplicaSet",
		func() []*appsv1.ReplicaSet { return sets },
		func(rs *appsv1.ReplicaSet) *metav1.LabelSelector { return rs.Spec.Selector })
	foreign := pod("foreign", "web", sets[0])
	foreign.OwnerReferences[0].Kind = "Job"
	for _, tc := range []struct {
		pod  *corev1.Pod
		want []string
	}{
		{pod("an orphan concerns all that would take it", "web", nil), []string{"web", "web2"}},
		{pod("an orphan that nobody wants", "cache", nil), nil},
		{pod("an owned one concerns its owner", "web", sets[2]), []string{"db"}},
		{foreign, nil},
	} {
		var got []string
		for _, r := range concerned(tc.pod) {
			if r.Namespace != "a" {
				t.Errorf("%s: concerns %v of another namespace", tc.pod.Name, r)
			}
			got = append(got, r.Name)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: concerns %q, want %q", tc.pod.Name, got, tc.want)
		}
	}
}

func TestMayAdopt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := sdktest.New(t).Client(t)
		created, err := sdk.Create(t.Context(), client, set("a", "web", "web"))
		if err != nil {
			t.Fatal(err)
		}
		before := set("a", "web", "web")
		before.UID = "another"
		for _, tc := range []struct {
			name  string
			owner *appsv1.ReplicaSet
			want  bool
		}{
			{"one that is there", created, true},
			{"a namesake of before", before, false},
			{"one that is gone", set("a", "gone", "web"), false},
		} {
			if may, err := claim.MayAdopt(t.Context(), client, tc.owner); may != tc.want || err != nil {
				t.Errorf("%s: %v, %v, want %v", tc.name, may, err, tc.want)
			}
		}
	})
}
