package registry

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

const (
	NoneCell    = "<none>"
	UnsetCell   = "<unset>"
	UnknownCell = "<unknown>"
)

// ColumnOf makes a column whose cell depends on the object alone.
func ColumnOf[T Object](name, typ, description string, value func(T) any) Column {
	return Column{
		Name: name, Type: typ, Description: description,
		Value: func(obj Object, _ time.Time) any { return value(obj.(T)) },
	}
}

// Wide makes a column that only -o wide shows.
func Wide(c Column) Column {
	c.Wide = true
	return c
}

// Narrow has columns be shown always.
func Narrow(columns []Column) []Column {
	for i := range columns {
		columns[i].Wide = false
	}
	return columns
}

// Age is the column of the time since an object's creation.
func Age() Column {
	return Column{
		Name: "Age", Type: "string",
		Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"],
		Value: func(obj Object, now time.Time) any {
			return Since(obj.GetCreationTimestamp().Time, now)
		},
	}
}

// Since words the time from t until now as kubectl does: "5m", "3d2h".
func Since(t, now time.Time) string {
	if t.IsZero() {
		return UnknownCell
	}
	return duration.HumanDuration(now.Sub(t))
}

// OrNone is what a cell shows of s.
func OrNone(s string) string {
	if s == "" {
		return NoneCell
	}
	return s
}

// Shorten joins the first limit items and says how many are left.
func Shorten(items []string, limit int, empty string) string {
	if len(items) == 0 {
		return empty
	}
	if len(items) <= limit {
		return strings.Join(items, ",")
	}
	return fmt.Sprintf("%s + %d more...", strings.Join(items[:limit], ","), len(items)-limit)
}
