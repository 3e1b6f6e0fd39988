package codec_test

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
)

var cmGVK = corev1.SchemeGroupVersion.WithKind("ConfigMap")

func TestFieldValidation(t *testing.T) {
	const twice = `{"kind":"ConfigMap","data":{},"data":{"x":"y"},"dada":1}`
	for v, want := range map[codec.Validation]struct {
		warnings int
		err      string
	}{
		codec.Ignore: {},
		codec.Warn:   {warnings: 2},
		codec.Strict: {err: `ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data", unknown field "dada"`},
	} {
		var cm corev1.ConfigMap
		warnings, err := codec.DecodeJSON([]byte(twice), &cm, cmGVK, v)
		if len(warnings) != want.warnings || (err == nil) != (want.err == "") || (err != nil && err.Error() != want.err) {
			t.Errorf("%s: %q, %v", v, warnings, err)
		}
		if err == nil && (cm.Data["x"] != "y" || cm.Kind != "ConfigMap" || cm.APIVersion != "v1") {
			t.Errorf("%s: read %+v", v, cm)
		}
	}
}

func TestYAMLDuplicates(t *testing.T) {
	var cm corev1.ConfigMap
	_, err := codec.DecodeYAML([]byte("data: {x: a}\ndata: {x: b}\n"), &cm, cmGVK, codec.Strict)
	if err == nil || !strings.Contains(err.Error(), `key "data" already set in map`) {
		t.Errorf("duplicates: %v", err)
	}
}

func TestBadProtobuf(t *testing.T) {
	for _, data := range []string{"", "{}", "k8s\x00\xff\xff"} {
		var cm corev1.ConfigMap
		if err := codec.DecodeProtobuf([]byte(data), &cm, cmGVK); err == nil {
			t.Errorf("%q was read", data)
		}
	}
}

func TestDeleteOptions(t *testing.T) {
	var o metav1.DeleteOptions
	if err := codec.DecodeDeleteOptions([]byte(`{"kind":"DeleteOptions","apiVersion":"meta.k8s.io/v1","gracePeriodSeconds":5}`), &o); err != nil || *o.GracePeriodSeconds != 5 {
		t.Errorf("read %+v, %v", o, err)
	}
	if err := codec.DecodeDeleteOptions([]byte(`{"kind":"Pod"}`), &o); err == nil {
		t.Error("a Pod was read as DeleteOptions")
	}
}
