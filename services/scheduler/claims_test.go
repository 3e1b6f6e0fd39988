package scheduler_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
)

// A pod waits for its claim to be there, and to be bound.
func TestClaimsAreWaitedFor(t *testing.T) {
	inBubble(t, func(f *fixture) {
		create(f, node("n", "4"))
		f.start("a")
		p := pod("p", "1")
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{
			PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "data"},
		}}}
		create(f, p)
		expect := func(want string) {
			t.Helper()
			time.Sleep(time.Second)
			if got := condition(f.pod("p")); got != want {
				t.Errorf("condition %q, want %q", got, want)
			}
		}
		expect(`False Unschedulable: 0/1 nodes are available: persistentvolumeclaim "data" not found.`)
		claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data", Namespace: "default"}}
		create(f, claim)
		expect("False Unschedulable: 0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.")
		claim, err := sdk.Get[*corev1.PersistentVolumeClaim](f.Context(), f.client, "default", "data")
		if err != nil {
			t.Fatal(err)
		}
		claim.Spec.VolumeName = "v"
		if claim, err = sdk.Update(f.Context(), f.client, claim); err != nil {
			t.Fatal(err)
		}
		claim.Status.Phase = corev1.ClaimBound
		if _, err = sdk.UpdateStatus(f.Context(), f.client, claim); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if got := f.pod("p").Spec.NodeName; got != "n" {
			t.Errorf("on node %q, want n", got)
		}
	})
}
