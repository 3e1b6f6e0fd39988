package registry_test

import (
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
