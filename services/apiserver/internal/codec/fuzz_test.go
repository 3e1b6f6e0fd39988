package codec_test

import (
	"errors"
	"net/http"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
)

// checkRefusal fails unless an error is the client's: 400, in Kubernetes' form.
func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var status apierrors.APIStatus
	if err != nil && (!errors.As(err, &status) || status.Status().Code != http.StatusBadRequest) {
		t.Errorf("%T: %v", err, err)
	}
}

var bodies = []string{
	"", "{}", "[]", "null", "1", `"x"`, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"a","creationTimestamp":null}}`,
	`{"spec":{"containers":[{"name":"x","resources":{"limits":{"cpu":"1e3"}},"livenessProbe":{"httpGet":{"port":"http"}}}]}}`,
	`{"metadata":{"managedFields":[{"fieldsV1":{"f:x":{}},"time":"2026-01-01T00:00:00Z"}]},"metadata":{}}`,
	"kind: Pod\nmetadata: &a {name: x}\nspec: {<<: *a}\n", "a: &a [*a]", "? {a: b}\n: c\n", "!!binary x", "{}\n---\n{}", "\xff\xfe", "k8s\x00",
	"k8s\x00\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x07\x0a\x05\x0a\x01a\x12\x00", "k8s\x00\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
}

func FuzzDecode(f *testing.F) {
	for i, body := range bodies {
		f.Add([]byte(body), byte(i))
	}
	gvk := corev1.SchemeGroupVersion.WithKind("Pod")
	f.Fuzz(func(t *testing.T, data []byte, how byte) {
		v := []codec.Validation{codec.Ignore, codec.Warn, codec.Strict}[how%3]
		var pod corev1.Pod
		_, err := codec.DecodeJSON(data, &pod, gvk, v)
		checkRefusal(t, err)
		if err == nil {
			again(t, &pod)
		}
		_, err = codec.DecodeYAML(data, new(corev1.Pod), gvk, v)
		checkRefusal(t, err)
		pod = corev1.Pod{}
		err = codec.DecodeProtobuf(data, &pod, gvk)
		checkRefusal(t, err)
		if err == nil {
			again(t, &pod)
		}
		checkRefusal(t, codec.DecodeDeleteOptions(data, new(metav1.DeleteOptions)))
	})
}

// again encodes what was decoded, as it would be stored.
func again(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	raw, err := pod.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "Pod"}, Raw: raw}
	body, err := unknown.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := codec.DecodeProtobuf(append([]byte("k8s\x00"), body...), new(corev1.Pod), corev1.SchemeGroupVersion.WithKind("Pod")); err != nil {
		t.Errorf("what was decoded is not read again: %v", err)
	}
}
