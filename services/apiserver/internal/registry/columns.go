package registry

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

const (
	noneCell    = "<none>"
	unsetCell   = "<unset>"
	unknownCell = "<unknown>"
)

// column makes a column whose cell depends on the object alone.
func column[T Object](name, typ, description string, value func(T) any) Column {
	return Column{
		Name: name, Type: typ, Description: description,
		Value: func(obj Object, _ time.Time) any { return value(obj.(T)) },
	}
}

// wide makes a column that only -o wide shows.
func wide(c Column) Column {
	c.Wide = true
	return c
}

// narrow has columns be shown always.
func narrow(columns []Column) []Column {
	for i := range columns {
		columns[i].Wide = false
	}
	return columns
}

func ageColumn() Column {
	return Column{
		Name: "Age", Type: "string",
		Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"],
		Value: func(obj Object, now time.Time) any {
			return since(obj.GetCreationTimestamp().Time, now)
		},
	}
}

// since words the time from t until now as kubectl does: "5m", "3d2h".
func since(t, now time.Time) string {
	if t.IsZero() {
		return unknownCell
	}
	return duration.HumanDuration(now.Sub(t))
}

func orNone(s string) string {
	if s == "" {
		return noneCell
	}
	return s
}

// containerColumns are the names and images of a pod template and a selector.
func containerColumns[T Object](containers func(T) []corev1.Container, selector func(T) *metav1.LabelSelector) []Column {
	return append(imageColumns(containers), wide(column("Selector", "string", "Label selector.", func(obj T) any {
		return metav1.FormatLabelSelector(selector(obj))
	})))
}

// imageColumns are the names and images of a pod template.
func imageColumns[T Object](containers func(T) []corev1.Container) []Column {
	join := func(obj T, part func(corev1.Container) string) string {
		var parts []string
		for _, c := range containers(obj) {
			parts = append(parts, part(c))
		}
		return strings.Join(parts, ",")
	}
	return []Column{
		wide(column("Containers", "string", "Names of each container in the template.", func(obj T) any {
			return join(obj, func(c corev1.Container) string { return c.Name })
		})),
		wide(column("Images", "string", "Images referenced by each container in the template.", func(obj T) any {
			return join(obj, func(c corev1.Container) string { return c.Image })
		})),
	}
}

// shorten joins the first limit items and says how many are left.
func shorten(items []string, limit int, empty string) string {
	if len(items) == 0 {
		return empty
	}
	if len(items) <= limit {
		return strings.Join(items, ",")
	}
	return fmt.Sprintf("%s + %d more...", strings.Join(items[:limit], ","), len(items)-limit)
}
