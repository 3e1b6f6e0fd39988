package core

import (
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// ComponentStatus tells whether the parts of the control plane are there: the
// ones that take turns by their Leases, and the store by answering.
func ComponentStatus() *registry.Kind {
	condition := func(name, description string, value func(corev1.ComponentCondition) string) registry.Column {
		return registry.ColumnOf(name, "string", description, func(obj *corev1.ComponentStatus) any {
			for _, c := range obj.Conditions {
				if c.Type == corev1.ComponentHealthy {
					return value(c)
				}
			}
			return ""
		})
	}
	k := registry.Define(corev1.SchemeGroupVersion, &corev1.ComponentStatusList{}, registry.Definition[*corev1.ComponentStatus]{
		ShortNames: []string{"cs"}, Verbs: []string{"get", "list"},
		Columns: []registry.Column{
			condition("Status", "Status of the component conditions", func(c corev1.ComponentCondition) string {
				if c.Status == corev1.ConditionTrue {
					return "Healthy"
				}
				return "Unhealthy"
			}),
			condition("Message", "Message of the component conditions", func(c corev1.ComponentCondition) string { return c.Message }),
			condition("Error", "Error of the component conditions", func(c corev1.ComponentCondition) string { return c.Error }),
		},
	})
	k.Computed = componentStatuses
	return k
}

func componentStatuses(read registry.Read, now time.Time) []registry.Object {
	var list []registry.Object
	for _, c := range []struct{ name, lease string }{
		{"controller-manager", "kube-controller-manager"}, {"etcd-0", ""}, {"scheduler", "kube-scheduler"},
	} {
		condition := corev1.ComponentCondition{Type: corev1.ComponentHealthy, Status: corev1.ConditionTrue, Message: "ok"}
		if why := silent(read, c.lease, now); why != "" {
			condition = corev1.ComponentCondition{Type: corev1.ComponentHealthy, Status: corev1.ConditionFalse, Message: why}
		}
		list = append(list, &corev1.ComponentStatus{
			ObjectMeta: metav1.ObjectMeta{Name: c.name}, Conditions: []corev1.ComponentCondition{condition},
		})
	}
	return list
}

// silent says since when nobody renewed a Lease; nothing, where somebody did.
func silent(read registry.Read, name string, now time.Time) string {
	if name == "" {
		return ""
	}
	var lease coordinationv1.Lease
	value := read("leases.coordination.k8s.io", metav1.NamespaceSystem, name)
	if value == nil || lease.Unmarshal(value) != nil || lease.Spec.RenewTime == nil {
		return "no instance ever led"
	}
	if renewed := lease.Spec.RenewTime.Time; now.Sub(renewed) > time.Duration(ptr.Deref(lease.Spec.LeaseDurationSeconds, 0))*time.Second {
		return fmt.Sprintf("no instance has led since %s", renewed.UTC().Format(time.RFC3339))
	}
	return ""
}
