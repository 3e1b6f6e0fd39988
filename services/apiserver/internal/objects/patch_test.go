package objects_test

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// Shorter names of the forms of patches.
const (
	jsonPatch = types.JSONPatchType
	merge     = types.MergePatchType
	strategic = types.StrategicMergePatchType
	apply     = types.ApplyYAMLPatchType
)

// TestPatchRefusals has what a patch may get wrong, with the code and the text that
// Kubernetes' handlers (endpoints/handlers/patch.go) answer.
func TestPatchRefusals(t *testing.T) {
	s, _ := objectstest.New(t)
	create(t, s, "ConfigMap", configMap("a", map[string]string{"x": "1"}))
	on := target(t, s, "ConfigMap", "a")
	for name, test := range map[string]struct {
		kind types.PatchType
		with codec.Validation
		data string
		code int32
		want string
	}{
		"test that fails":         {jsonPatch, codec.Warn, `[{"op":"test","path":"/data/x","value":"2"}]`, 422, "the server rejected our request due to an error in our request"},
		"no such path":            {jsonPatch, codec.Warn, `[{"op":"remove","path":"/data/y"}]`, 422, "the server rejected our request due to an error in our request"},
		"unknown operation":       {jsonPatch, codec.Warn, `[{"op":"jump","path":"/data/x"}]`, 422, "the server rejected our request due to an error in our request"},
		"no array":                {jsonPatch, codec.Warn, `{"op":"add"}`, 400, "error decoding patch: json: cannot unmarshal object into Go value of type []objects.operation"},
		"empty JSON patch":        {jsonPatch, codec.Warn, ``, 400, "error decoding patch: "},
		"too many operations":     {jsonPatch, codec.Ignore, "[" + strings.Repeat(`{"op":"test","path":"/data/x","value":"1"},`, 10000) + `{"op":"test","path":"/data/x","value":"1"}]`, 413, "The allowed maximum operations in a JSON patch is 10000, got 10001"},
		"unknown in operation":    {jsonPatch, codec.Strict, `[{"op":"add","path":"/data/y","value":"1","valu":1}]`, 422, `strict decoding error: json patch unknown field "[0].valu"`},
		"array for an object":     {merge, codec.Warn, `[{"a":1}]`, 400, "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"},
		"array and no validation": {merge, codec.Ignore, `[{"a":1}]`, 422, "json: cannot unmarshal array into Go value of type v1.ConfigMap"},
		"given twice":             {merge, codec.Strict, `{"data":{"y":"1","y":"2"}}`, 422, `strict decoding error: duplicate field "data.y"`},
		"unknown field":           {merge, codec.Strict, `{"dada":{}}`, 422, `patch: Invalid value: "{`},
		"wrong type":              {merge, codec.Warn, `{"data":{"y":1}}`, 422, "json: cannot unmarshal number into Go struct field ConfigMap.data of type string"},
		"strategic, wrong type":   {strategic, codec.Warn, `{"data":{"y":1}}`, 422, `patch: Invalid value: "map[data:map[y:1]]"`},
		"strategic, unknown":      {strategic, codec.Strict, `{"dada":{}}`, 422, `strict decoding error: unknown field "dada"`},
		"strategic, no object":    {strategic, codec.Warn, `[]`, 400, "json: cannot unmarshal array into Go value of type map[string]interface {}"},
		"other name":              {merge, codec.Warn, `{"metadata":{"name":"b"}}`, 400, "the name of the object (b) does not match the name on the URL (a)"},
		"other namespace":         {merge, codec.Warn, `{"metadata":{"namespace":"b"}}`, 400, "the namespace of the provided object does not match the namespace sent on the request"},
		"other uid":               {merge, codec.Warn, `{"metadata":{"uid":"b"}}`, 422, "metadata.uid: Invalid value: \"b\": field is immutable"},
		"other version":           {merge, codec.Warn, `{"metadata":{"resourceVersion":"1"}}`, 409, "the object has been modified; please apply your changes to the latest version and try again"},
		"apply: other kind":       {apply, codec.Warn, "apiVersion: v1\nkind: Secret\n", 400, "invalid object type: /v1, Kind=Secret"},
		"apply: no YAML":          {apply, codec.Warn, "{", 400, "error decoding YAML: "},
		"apply: managed fields":   {apply, codec.Warn, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, managedFields: [{}]}}", 400, "metadata.managedFields must be nil"},
		"apply: unknown field":    {apply, codec.Warn, "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}, dada: {}}", 500, ".dada: field not declared in schema"},
		"apply: given twice":      {apply, codec.Strict, "apiVersion: v1\nkind: ConfigMap\ndata: {y: a}\ndata: {y: b}\n", 400, `key "data" already set in map`},
		"apply: other version":    {apply, codec.Warn, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","resourceVersion":"1"},"data":{"z":"1"}}`, 409, "the object has been modified"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Patch(admin, on, objects.Patch{Type: test.kind, Data: []byte(test.data), Validation: test.with}, false)
			status, ok := err.(apierrors.APIStatus)
			if !ok || status.Status().Code != test.code || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v\nwant %d %s", err, test.code, test.want)
			}
		})
	}
	now, err := s.Get(admin, on, "")
	if err != nil {
		t.Fatal(err)
	}
	if data := decode[*corev1.ConfigMap](t, now).Data; fmt.Sprint(data) != "map[x:1]" {
		t.Errorf("changed all the same: %v", data)
	}
}

func simplePod(labels map[string]string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "a", Namespace: "default", Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "a"}}},
	}
}

// TestPatchWarnings has what is accepted with a warning.
func TestPatchWarnings(t *testing.T) {
	s, _ := objectstest.New(t)
	create(t, s, "ConfigMap", configMap("a", map[string]string{"x": "1"}))
	on := target(t, s, "ConfigMap", "a")
	for name, test := range map[string]struct {
		kind types.PatchType
		data string
		want string
	}{
		"JSON patch":        {jsonPatch, `[{"op":"add","path":"/data/y","value":"1","valu":1}]`, `json patch unknown field "[0].valu"`},
		"merge":             {merge, `{"dada":{},"data":{"y":"1","y":"1"}}`, `duplicate field "data.y", unknown field "dada"`},
		"strategic":         {strategic, `{"dada":{},"data":{"y":"1","y":"1"}}`, `duplicate field "data.y", unknown field "dada"`},
		"apply":             {apply, "apiVersion: v1\nkind: ConfigMap\ndata: {y: a}\ndata: {y: \"1\"}\n", "error converting YAML to JSON: yaml: unmarshal errors:\n  line 4: key \"data\" already set in map"},
		"nothing":           {merge, `{}`, ""},
		"type is no matter": {strategic, `{"apiVersion":"v1","kind":"ConfigMap"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var told []string
			ctx := objects.WithManager(admin, "test")
			_, err := s.Patch(ctx, on, objects.Patch{
				Type: test.kind, Data: []byte(test.data), Validation: codec.Warn, Warn: func(text string) { told = append(told, text) }, Force: test.kind == apply,
			}, false)
			if got := strings.Join(told, ", "); err != nil || got != test.want {
				t.Errorf("%q, %v\nwant %q", got, err, test.want)
			}
		})
	}
}

// TestStrategicDirectives has each directive of a strategic merge patch.
func TestStrategicDirectives(t *testing.T) {
	s, _ := objectstest.New(t)
	on := target(t, s, "Pod", "a")
	for name, test := range map[string]struct{ patch, want string }{
		"merge by key": {`{"metadata":{"labels":{"b":"2"}}}`, "map[a:1 b:2]"},
		"delete a key": {`{"metadata":{"labels":{"a":null}}}`, "map[]"},
		"replace":      {`{"metadata":{"labels":{"$patch":"replace","c":"3"}}}`, "map[c:3]"},
		"delete":       {`{"metadata":{"labels":{"$patch":"delete"}}}`, "map[]"},
		"retain keys":  {`{"metadata":{"labels":{"$retainKeys":["b"],"b":"2"}}}`, "map[b:2]"},
	} {
		t.Run(name, func(t *testing.T) {
			create(t, s, "Pod", simplePod(map[string]string{"a": "1"}))
			got, err := s.Patch(admin, on, objects.Patch{Type: strategic, Data: []byte(test.patch), Validation: codec.Strict}, true)
			if err != nil || fmt.Sprint(decode[*corev1.Pod](t, got).Labels) != test.want {
				t.Errorf("%v", err)
			}
			if _, err := s.Delete(admin, on, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		})
	}
	create(t, s, "Pod", simplePod(map[string]string{"a": "1"}))
	for name, test := range map[string]struct {
		patch string
		code  int32
	}{
		"unknown directive":       {`{"metadata":{"labels":{"$patch":"jump"}}}`, 500},
		"retain keys of no list":  {`{"metadata":{"labels":{"$retainKeys":"b","b":"2"}}}`, 400},
		"retain not what it sets": {`{"metadata":{"labels":{"$retainKeys":["b"],"c":"2"}}}`, 400},
		"order of no list":        {`{"metadata":{"$setElementOrder/finalizers":{"a":1}}}`, 500},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Patch(admin, on, objects.Patch{Type: strategic, Data: []byte(test.patch), Validation: codec.Strict}, false)
			if status, ok := err.(apierrors.APIStatus); !ok || status.Status().Code != test.code {
				t.Errorf("%v, want %d", err, test.code)
			}
		})
	}
}
