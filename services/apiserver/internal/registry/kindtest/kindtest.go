// Package kindtest has what the tests of kinds share: the steps that the server
// takes with an object, and checks of tables of them.
package kindtest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
)

// Time is the time of day in tests.
var Time = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// Kind finds a kind by what the state calls it: "deployments.apps".
func Kind(t *testing.T, resource string) *registry.Kind {
	t.Helper()
	k, ok := catalog.New(registry.Options{}).ByStoreResource(resource)
	if !ok {
		t.Fatalf("no kind %q", resource)
	}
	return k
}

// Decode reads a manifest strictly.
func Decode(t *testing.T, k *registry.Kind, manifest string) registry.Object {
	t.Helper()
	obj := k.New()
	if err := yaml.UnmarshalStrict([]byte(manifest), obj); err != nil {
		t.Fatalf("decode manifest: %v\n%s", err, manifest)
	}
	return obj
}

// Prepare does what the server does with a new object before it validates.
func Prepare(k *registry.Kind, obj registry.Object) registry.Object {
	if k.Default != nil {
		k.Default(obj)
	}
	if k.PrepareCreate != nil {
		k.PrepareCreate(obj, Time)
	}
	return obj
}

// PrepareChange does what the server does with a changed object.
func PrepareChange(k *registry.Kind, obj, old registry.Object) registry.Object {
	if k.Default != nil {
		k.Default(obj)
	}
	if k.PrepareUpdate != nil {
		k.PrepareUpdate(obj, old)
	}
	return obj
}

// Validate checks an object as the server checks new and changed ones.
func Validate(k *registry.Kind, obj registry.Object) field.ErrorList {
	if k.Validate == nil {
		return nil
	}
	return k.Validate(obj)
}

// ValidateChange checks a change as the server does.
func ValidateChange(k *registry.Kind, obj, old registry.Object) field.ErrorList {
	errs := Validate(k, obj)
	if k.ValidateUpdate != nil {
		errs = append(errs, k.ValidateUpdate(obj, old)...)
	}
	return errs
}

// WantErrors compares errors with the texts that kubectl shows.
func WantErrors(t *testing.T, errs field.ErrorList, want ...string) {
	t.Helper()
	var got []string
	for _, err := range errs {
		got = append(got, err.Error())
	}
	if len(got) != len(want) {
		t.Fatalf("got %d errors, want %d:\n got %q\nwant %q", len(got), len(want), got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("error %d:\n got %s\nwant %s", i, got[i], want[i])
		}
	}
}

// Cells returns the cells of an object's line, wide ones too when asked.
func Cells(k *registry.Kind, obj registry.Object, now time.Time, wide bool) []any {
	var out []any
	for _, c := range k.Columns {
		if wide || !c.Wide {
			out = append(out, c.Value(obj, now))
		}
	}
	return out
}

// ValidateNew checks a new object as the server does, but for its metadata.
func ValidateNew(k *registry.Kind, obj registry.Object) field.ErrorList {
	errs := Validate(k, obj)
	if k.ValidateCreate != nil {
		errs = append(errs, k.ValidateCreate(obj)...)
	}
	return errs
}

// Lines are the errors that a test expects, one on each line; none for "".
func Lines(want string) []string {
	if want == "" {
		return nil
	}
	return strings.Split(want, "\n")
}

// Sample is an object, and what is said of it: errors where it is created, or its line.
type Sample = struct{ Name, Resource, Object, Want string }

// CheckNew compares the errors of new objects with the lines of want.
func CheckNew(t *testing.T, samples []Sample) {
	t.Helper()
	for _, s := range samples {
		t.Run(s.Resource+"/"+s.Name, func(t *testing.T) {
			k := Kind(t, s.Resource)
			WantErrors(t, ValidateNew(k, Prepare(k, Decode(t, k, s.Object))), Lines(s.Want)...)
		})
	}
}

// CheckLines compares what kubectl -o wide shows of objects.
func CheckLines(t *testing.T, samples []Sample) {
	t.Helper()
	for _, s := range samples {
		t.Run(s.Resource+"/"+s.Name, func(t *testing.T) {
			k := Kind(t, s.Resource)
			if got := fmt.Sprintf("%q", Cells(k, Decode(t, k, s.Object), Time, true)); got != s.Want {
				t.Errorf("got  %s\nwant %s", got, s.Want)
			}
		})
	}
}

// Change is an update: of the object from old to new.
type Change = struct{ Name, Resource, Old, New, Want string }

// CheckChanges compares the errors of updates with the lines of want.
func CheckChanges(t *testing.T, changes []Change) {
	t.Helper()
	for _, c := range changes {
		t.Run(c.Resource+"/"+c.Name, func(t *testing.T) {
			k := Kind(t, c.Resource)
			old := Prepare(k, Decode(t, k, c.Old))
			merge := Decode(t, k, c.Old) // Status included, which prepare took away.
			copyStatus(old, merge)
			obj := PrepareChange(k, Decode(t, k, c.New), old)
			WantErrors(t, ValidateChange(k, obj, old), Lines(c.Want)...)
		})
	}
}

func copyStatus(obj, from registry.Object) {
	if status := reflect.ValueOf(obj).Elem().FieldByName("Status"); status.IsValid() {
		status.Set(reflect.ValueOf(from).Elem().FieldByName("Status"))
	}
}

// PlainPod is a pod of which nothing is said but its image.
const PlainPod = `
metadata: {name: web, namespace: default}
spec:
  containers:
  - {name: web, image: busybox}
`
