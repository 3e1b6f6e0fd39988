package objects_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// listable are some pods that differ in what selectors look at.
func listable(f *testing.F) (*objects.Service, objects.Target) {
	f.Helper()
	s, _ := objectstest.New(f)
	for i := range 9 {
		create(f, s, "Pod", &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("p", i), Namespace: "default", Labels: map[string]string{"app": []string{"web", "db", ""}[i%3], fmt.Sprint("n", i%2): fmt.Sprint(i)}},
			Spec:       corev1.PodSpec{NodeName: []string{"", "n1", "n2"}[i/3], Containers: []corev1.Container{{Name: "x", Image: "i"}}},
		})
	}
	return s, target(f, s, "Pod", "")
}

// A list is what Kubernetes' libraries select of all there is, page by page as well; a
// token that nobody got here is refused, or leads to a part of the same.
func FuzzList(f *testing.F) {
	s, pods := listable(f)
	for _, seed := range [][2]string{
		{"app=web", ""}, {"app in (web,db),!n1", "spec.nodeName=n1"}, {"n0>3", "spec.nodeName!=n1,metadata.name=p3"}, {"app==", "spec.nodeName=,status.phase=Pending"},
		{"app notin (web)", "metadata.namespace=default"}, {"app=web,app=db", "spec.nodeName=n1,spec.nodeName=n2"}, {"", `metadata.name=p\=1`}, {"a=b==c", "x"}, {",", "=,="},
	} {
		f.Add(seed[0], seed[1], int64(2), "eyJydiI6MSwibnMiOiJkZWZhdWx0IiwibmFtZSI6InAzIn0")
	}
	f.Add("", "", int64(1), "eyJydiI6LTEsIm5hbWUiOiJwMyIsIm4iOjl9")
	f.Fuzz(func(t *testing.T, labelText, fieldText string, limit int64, token string) {
		o := objects.ListOptions{LabelSelector: labelText, FieldSelector: fieldText}
		all, err := s.List(admin, pods, o)
		want, ok := selected(t, s, pods, labelText, fieldText)
		if (err == nil) != ok {
			t.Fatalf("%q %q: %v; selected as Kubernetes does: %v", labelText, fieldText, err, ok)
		}
		if err != nil {
			checkBad(t, err)
			return
		}
		if got := namesOf(t, all); !slices.Equal(got, want) {
			t.Errorf("%q %q: %q, want %q", labelText, fieldText, got, want)
		}
		if got := paged(t, s, pods, o, 1+limit&7); !slices.Equal(got, want) {
			t.Errorf("%q %q by %d: %q, want %q", labelText, fieldText, 1+limit&7, got, want)
		}
		o.Continue, o.Limit = token, limit
		part, err := s.List(admin, pods, o)
		if err != nil {
			checkBad(t, err)
			return
		}
		for _, name := range namesOf(t, part) {
			if !slices.Contains(want, name) {
				t.Errorf("%q leads to %s", token, name)
			}
		}
	})
}

// checkBad fails unless an error is the client's.
func checkBad(t *testing.T, err error) {
	t.Helper()
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Code < 400 || status.Status().Code >= 500 && !apierrors.IsTimeout(err) {
		t.Errorf("%T: %v", err, err)
	}
}

// selected are the names of what Kubernetes' libraries select; false is that they
// refuse a selector.
func selected(t *testing.T, s *objects.Service, pods objects.Target, labelText, fieldText string) ([]string, bool) {
	t.Helper()
	byLabel, err := labels.Parse(labelText)
	byField, fieldErr := fields.ParseSelector(fieldText)
	if err != nil || fieldErr != nil {
		return nil, false
	}
	for _, r := range byField.Requirements() {
		if _, known := fieldsOf(pods.Kind, &corev1.Pod{})[r.Field]; !known {
			return nil, false
		}
	}
	all, err := s.List(admin, pods, objects.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, item := range all.Items {
		if pod := decode[*corev1.Pod](t, item); byLabel.Matches(labels.Set(pod.Labels)) && byField.Matches(fieldsOf(pods.Kind, pod)) {
			names = append(names, pod.Name)
		}
	}
	return names, true
}

func fieldsOf(k *registry.Kind, pod *corev1.Pod) fields.Set {
	set := fields.Set{"metadata.name": pod.Name, "metadata.namespace": pod.Namespace}
	maps.Copy(set, k.Fields(pod))
	return set
}

func namesOf(t *testing.T, page objects.Page) []string {
	t.Helper()
	var names []string
	for _, item := range page.Items {
		names = append(names, decode[*corev1.Pod](t, item).Name)
	}
	return names
}

// paged lists page by page.
func paged(t *testing.T, s *objects.Service, pods objects.Target, o objects.ListOptions, limit int64) []string {
	t.Helper()
	var names []string
	for o.Limit = limit; ; {
		page, err := s.List(admin, pods, o)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, namesOf(t, page)...)
		if o.Continue = page.Continue; o.Continue == "" {
			return names
		}
		if len(page.Items) == 0 {
			t.Fatal("an empty page is not the last")
		}
	}
}
