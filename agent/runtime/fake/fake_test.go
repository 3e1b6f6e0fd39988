package fake_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/agent/runtime/conformance"
	"github.com/musterhq/muster/agent/runtime/fake"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	conformance.Run(t, func(t *testing.T) conformance.Harness {
		r := fake.New()
		if _, err := r.ImportImages(t.Context(), strings.NewReader("busybox")); err != nil {
			t.Fatal(err)
		}
		return conformance.Harness{Runtime: r, Image: "busybox", CgroupParent: "/test"}
	})
}
