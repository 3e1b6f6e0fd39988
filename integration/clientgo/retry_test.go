package clientgo_test

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/retry"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/integration/loopback"
	"github.com/musterhq/muster/internal/pki"
)

// alone is an administrator's client of a server of its own.
func alone(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	config := loopback.Start(t).Config(pki.AdminIdentity())
	config.WarningHandler = heard(func(string) {})
	return kubernetes.NewForConfigOrDie(config)
}

// TestRetryOnConflict has contenders count in one object, who read it, add one and
// write it, and begin again where another was faster: no count is lost.
func TestRetryOnConflict(t *testing.T) {
	t.Parallel()
	const contenders, each = 8, 5
	api := alone(t).CoreV1().ConfigMaps("default")
	if _, err := api.Create(t.Context(), configMap("counter", "0"), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	patient := wait.Backoff{Steps: 100, Duration: time.Millisecond, Factor: 1.5, Jitter: 1, Cap: 50 * time.Millisecond}
	for range contenders {
		all.Go(func() {
			for range each {
				if err := retry.RetryOnConflict(patient, func() error { return addOne(t.Context(), api.Get, api.Update) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if m, err := api.Get(t.Context(), "counter", metav1.GetOptions{}); err != nil || m.Data["v"] != strconv.Itoa(contenders*each) {
		t.Errorf("counted to %v, %v", m.Data, err)
	}
}

type (
	getFunc    func(context.Context, string, metav1.GetOptions) (*corev1.ConfigMap, error)
	updateFunc func(context.Context, *corev1.ConfigMap, metav1.UpdateOptions) (*corev1.ConfigMap, error)
)

func addOne(ctx context.Context, get getFunc, update updateFunc) error {
	m, err := get(ctx, "counter", metav1.GetOptions{})
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(m.Data["v"])
	if err != nil {
		return err
	}
	m.Data["v"] = strconv.Itoa(n + 1)
	_, err = update(ctx, m, metav1.UpdateOptions{})
	return err
}

// TestPreconditions refuses, with Kubernetes' words, what is done to another object or
// another version than is meant.
func TestPreconditions(t *testing.T) {
	t.Parallel()
	api, ctx := alone(t).CoreV1().ConfigMaps("default"), t.Context()
	m, err := api.Create(ctx, configMap("m", "1"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	const other = types.UID("00000000-0000-0000-0000-000000000000")
	successor, stale := m.DeepCopy(), m.DeepCopy()
	successor.UID = other
	uid := fmt.Sprintf("Precondition failed: UID in precondition: %s, UID in object meta: %s", other, m.UID)
	if m, err = api.Update(ctx, configMap("m", "2"), metav1.UpdateOptions{}); err != nil { // without a version: whatever is there
		t.Fatal(err)
	}
	object := `Operation cannot be fulfilled on configmaps "m": `
	modified := object + "the object has been modified; please apply your changes to the latest version and try again"
	record := func(what, asked, is, means string) string { // Of a deletion the kind is named.
		return fmt.Sprintf(`Operation cannot be fulfilled on ConfigMap "m": the %s in the precondition (%s) does not match the %s in record (%s). The object might have been %s`, what, asked, what, is, means)
	}
	for _, test := range []struct {
		name, want string
		do         func() error
	}{
		{"update a successor", object + uid, func() error {
			successor.ResourceVersion = m.ResourceVersion
			_, err := api.Update(ctx, successor, metav1.UpdateOptions{})
			return err
		}},
		{"update an old version", modified, func() error { _, err := api.Update(ctx, stale, metav1.UpdateOptions{}); return err }},
		{"patch an old version", modified, func() error {
			_, err := api.Patch(ctx, "m", types.MergePatchType, []byte(`{"metadata": {"resourceVersion": "`+stale.ResourceVersion+`"}, "data": {"v": "3"}}`), metav1.PatchOptions{})
			return err
		}},
		{"delete a successor", record("UID", string(other), string(m.UID), "deleted and then recreated"), func() error {
			return api.Delete(ctx, "m", metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(other))})
		}},
		{"delete an old version", record("ResourceVersion", stale.ResourceVersion, m.ResourceVersion, "modified"), func() error {
			return api.Delete(ctx, "m", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: ptr.To(stale.ResourceVersion)}})
		}},
	} {
		if err := test.do(); !apierrors.IsConflict(err) || err.Error() != test.want {
			t.Errorf("%s:\n%v\nwant\n%s", test.name, err, test.want)
		}
	}
}

// TestDryRun does everything once, and nothing of it.
func TestDryRun(t *testing.T) {
	t.Parallel()
	api, ctx, dry := alone(t).CoreV1().ConfigMaps("default"), t.Context(), []string{metav1.DryRunAll}
	m, err := api.Create(ctx, configMap("m", "2"), metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, do := range map[string]func() error{
		"update": func() error {
			_, err := api.Update(ctx, configMap("m", "4"), metav1.UpdateOptions{DryRun: dry})
			return err
		},
		"patch": func() error {
			_, err := api.Patch(ctx, "m", types.MergePatchType, []byte(`{"data": {"v": "4"}}`), metav1.PatchOptions{DryRun: dry})
			return err
		},
		"delete": func() error { return api.Delete(ctx, "m", metav1.DeleteOptions{DryRun: dry}) },
		"deletecollection": func() error {
			return api.DeleteCollection(ctx, metav1.DeleteOptions{DryRun: dry}, metav1.ListOptions{})
		},
	} {
		if err := do(); err != nil {
			t.Errorf("dry run of %s: %v", name, err)
		}
	}
	got, err := api.Get(ctx, "m", metav1.GetOptions{})
	if err != nil || got.ResourceVersion != m.ResourceVersion || got.Data["v"] != "2" {
		t.Errorf("after all: %+v, %v", got, err)
	}
}
