// Package scheduling has the kind of priority classes.
package scheduling

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

const (
	systemClassPrefix = "system-"
	// highestUserPriority is what a class that is not the system's may have.
	highestUserPriority = int32(1000000000)
	// defaultClassTable holds the one class that pods without one are given.
	defaultClassTable = "_defaultpriorityclass"
)

// SystemPriorityClasses are the classes that every cluster has, for pods that it
// depends on.
func SystemPriorityClasses() []*schedulingv1.PriorityClass {
	class := func(name string, value int32, description string) *schedulingv1.PriorityClass {
		return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Value: value, Description: description}
	}
	return []*schedulingv1.PriorityClass{
		class("system-node-critical", 2*highestUserPriority+1000,
			"Used for system critical pods that must not be moved from their current node."),
		class("system-cluster-critical", 2*highestUserPriority,
			"Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."),
	}
}

// PriorityClass defines classes of how much pods matter.
func PriorityClass() *registry.Kind {
	doc := schedulingv1.PriorityClass{}.SwaggerDoc()
	return registry.Define(schedulingv1.SchemeGroupVersion, &schedulingv1.PriorityClassList{}, registry.Definition[*schedulingv1.PriorityClass]{
		ShortNames: []string{"pc"},

		// The first version is the first generation, and no other follows.
		Counted: func(_, _ *schedulingv1.PriorityClass) bool { return false },
		Default: func(obj *schedulingv1.PriorityClass) {
			registry.OrDefault(&obj.PreemptionPolicy, corev1.PreemptLowerPriority)
		},

		Validate: validatePriorityClass,
		ValidateUpdate: func(obj, old *schedulingv1.PriorityClass) field.ErrorList {
			var errs field.ErrorList
			if obj.Value != old.Value {
				errs = append(errs, field.Forbidden(field.NewPath("value"), "may not be changed in an update."))
			}
			return append(errs, apivalidation.ValidateImmutableField(obj.PreemptionPolicy, old.PreemptionPolicy, field.NewPath("preemptionPolicy"))...)
		},

		Claims: func(obj *schedulingv1.PriorityClass) []registry.Claim {
			if obj.GlobalDefault {
				return []registry.Claim{{Table: defaultClassTable, Value: "class"}}
			}
			return nil
		},
		ClaimTaken: func(obj *schedulingv1.PriorityClass, _ registry.Claim, holder string) error {
			return apierrors.NewForbidden(schedulingv1.Resource("priorityclasses"), obj.Name,
				fmt.Errorf("PriorityClass %v is already marked as default. Only one default can exist", strings.TrimPrefix(holder, "/")))
		},
		Kept: func(name string) string {
			for _, c := range SystemPriorityClasses() {
				if c.Name == name {
					return "this is a system priority class and cannot be deleted"
				}
			}
			return ""
		},

		Columns: []registry.Column{
			registry.ColumnOf("Value", "integer", doc["value"], func(obj *schedulingv1.PriorityClass) any { return int64(obj.Value) }),
			registry.ColumnOf("Global-Default", "boolean", doc["globalDefault"], func(obj *schedulingv1.PriorityClass) any { return obj.GlobalDefault }),
			registry.Age(),
			registry.ColumnOf("PreemptionPolicy", "string", doc["preemptionPolicy"], func(obj *schedulingv1.PriorityClass) any {
				return string(ptr.Deref(obj.PreemptionPolicy, ""))
			}),
		},
	})
}

func validatePriorityClass(obj *schedulingv1.PriorityClass) field.ErrorList {
	var errs field.ErrorList
	switch {
	case strings.HasPrefix(obj.Name, systemClassPrefix):
		if why := notSystemClass(obj); why != "" {
			errs = append(errs, field.Forbidden(field.NewPath("metadata", "name"),
				"priority class names with '"+systemClassPrefix+"' prefix are reserved for system use only. error: "+why))
		}
	case obj.Value > highestUserPriority:
		errs = append(errs, field.Forbidden(field.NewPath("value"),
			fmt.Sprintf("maximum allowed value of a user defined priority is %v", highestUserPriority)))
	}
	if obj.PreemptionPolicy != nil {
		errs = append(errs, check.OneOf(field.NewPath("preemptionPolicy"), *obj.PreemptionPolicy, corev1.PreemptLowerPriority, corev1.PreemptNever)...)
	}
	return errs
}

// notSystemClass says what keeps a class from being the system's of its name.
func notSystemClass(obj *schedulingv1.PriorityClass) string {
	for _, c := range SystemPriorityClasses() {
		switch {
		case c.Name != obj.Name:
		case c.Value != obj.Value:
			return fmt.Sprintf("value of %v PriorityClass must be %v", c.Name, c.Value)
		case obj.GlobalDefault:
			return fmt.Sprintf("globalDefault of %v PriorityClass must be false", c.Name)
		default:
			return ""
		}
	}
	return obj.Name + " is not a known system priority class"
}
