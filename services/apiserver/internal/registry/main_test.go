package registry_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

var testTime = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func kind(t *testing.T, resource string) *registry.Kind {
	t.Helper()
	k, ok := registry.New(registry.Options{}).ByStoreResource(resource)
	if !ok {
		t.Fatalf("no kind %q", resource)
	}
	return k
}

// decode reads a manifest strictly.
func decode(t *testing.T, k *registry.Kind, manifest string) registry.Object {
	t.Helper()
	obj := k.New()
	if err := yaml.UnmarshalStrict([]byte(manifest), obj); err != nil {
		t.Fatalf("decode manifest: %v\n%s", err, manifest)
	}
	return obj
}

// prepare does what the server does with a new object before it validates.
func prepare(k *registry.Kind, obj registry.Object) registry.Object {
	if k.Default != nil {
		k.Default(obj)
	}
	if k.PrepareCreate != nil {
		k.PrepareCreate(obj, testTime)
	}
	return obj
}

// prepareChange does what the server does with a changed object.
func prepareChange(k *registry.Kind, obj, old registry.Object) registry.Object {
	if k.Default != nil {
		k.Default(obj)
	}
	if k.PrepareUpdate != nil {
		k.PrepareUpdate(obj, old)
	}
	return obj
}

func validate(k *registry.Kind, obj registry.Object) field.ErrorList {
	if k.Validate == nil {
		return nil
	}
	return k.Validate(obj)
}

func validateChange(k *registry.Kind, obj, old registry.Object) field.ErrorList {
	errs := validate(k, obj)
	if k.ValidateUpdate != nil {
		errs = append(errs, k.ValidateUpdate(obj, old)...)
	}
	return errs
}

// wantErrors compares errors with the texts that kubectl shows.
func wantErrors(t *testing.T, errs field.ErrorList, want ...string) {
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

// cells returns the cells of an object's line, wide ones too when asked.
func cells(k *registry.Kind, obj registry.Object, now time.Time, wide bool) []any {
	var out []any
	for _, c := range k.Columns {
		if wide || !c.Wide {
			out = append(out, c.Value(obj, now))
		}
	}
	return out
}

// validateNew checks a new object as the server does, but for its metadata.
func validateNew(k *registry.Kind, obj registry.Object) field.ErrorList {
	errs := validate(k, obj)
	if k.ValidateCreate != nil {
		errs = append(errs, k.ValidateCreate(obj)...)
	}
	return errs
}

// lines are the errors that a test expects, one on each line; none for "".
func lines(want string) []string {
	if want == "" {
		return nil
	}
	return strings.Split(want, "\n")
}

// sample is an object, and what is said of it: errors where it is created, or its line.
type sample struct{ name, resource, object, want string }

// checkNew compares the errors of new objects with the lines of want.
func checkNew(t *testing.T, samples []sample) {
	t.Helper()
	for _, s := range samples {
		t.Run(s.resource+"/"+s.name, func(t *testing.T) {
			k := kind(t, s.resource)
			wantErrors(t, validateNew(k, prepare(k, decode(t, k, s.object))), lines(s.want)...)
		})
	}
}

// checkLines compares what kubectl -o wide shows of objects.
func checkLines(t *testing.T, samples []sample) {
	t.Helper()
	for _, s := range samples {
		t.Run(s.resource+"/"+s.name, func(t *testing.T) {
			k := kind(t, s.resource)
			if got := fmt.Sprintf("%q", cells(k, decode(t, k, s.object), testTime, true)); got != s.want {
				t.Errorf("got  %s\nwant %s", got, s.want)
			}
		})
	}
}

// change is an update: of the object from old to new.
type change struct{ name, resource, old, new, want string }

// checkChanges compares the errors of updates with the lines of want.
func checkChanges(t *testing.T, changes []change) {
	t.Helper()
	for _, c := range changes {
		t.Run(c.resource+"/"+c.name, func(t *testing.T) {
			k := kind(t, c.resource)
			old := prepare(k, decode(t, k, c.old))
			merge := decode(t, k, c.old) // Status included, which prepare took away.
			copyStatus(old, merge)
			obj := prepareChange(k, decode(t, k, c.new), old)
			wantErrors(t, validateChange(k, obj, old), lines(c.want)...)
		})
	}
}

func copyStatus(obj, from registry.Object) {
	if status := reflect.ValueOf(obj).Elem().FieldByName("Status"); status.IsValid() {
		status.Set(reflect.ValueOf(from).Elem().FieldByName("Status"))
	}
}
