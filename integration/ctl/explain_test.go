//go:build root

package ctl_test

import (
	"reflect"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/musterhq/muster/integration/harness"
)

// documented is what Kubernetes' types of the API say of themselves.
type documented interface{ SwaggerDoc() map[string]string }

// testExplain asks for every kind that is served, and finds what Kubernetes' Go types
// say: the version, the description, and each field.
func testExplain(t *testing.T, c *cluster) {
	c.inBoth(t, func(t *testing.T, k harness.Kubectl) {
		for _, line := range strings.Split(strings.TrimSpace(k.Output(t, "api-resources", "--no-headers")), "\n") {
			words := strings.Fields(line) // name, short names if any, version, namespaced, kind
			gv, err := schema.ParseGroupVersion(words[len(words)-3])
			if err != nil {
				t.Fatal(err)
			}
			gvk := gv.WithKind(words[len(words)-1])
			obj, err := scheme.Scheme.New(gvk)
			if err != nil {
				t.Errorf("%s is no kind of Kubernetes: %v", gvk, err)
				continue
			}
			explained := k.Output(t, "explain", words[0], "--api-version="+gv.String())
			if problem := compareDoc(explained, gvk, obj); problem != "" {
				t.Errorf("explain %s: %s in\n%s", words[0], problem, explained)
			}
		}
	})
}

// compareDoc says what explain does not tell of a type.
func compareDoc(explained string, gvk schema.GroupVersionKind, obj any) string {
	words := strings.Join(strings.Fields(explained), " ")
	if !strings.Contains(words, "KIND: "+gvk.Kind+" ") || !strings.Contains(words, "VERSION: "+gvk.Version+" ") && !strings.Contains(words, "VERSION: "+gvk.GroupVersion().String()+" ") {
		return "not " + gvk.String()
	}
	if doc := strings.Join(strings.Fields(obj.(documented).SwaggerDoc()[""]), " "); !strings.Contains(words, doc) {
		return "not " + doc
	}
	typ := reflect.TypeOf(obj).Elem()
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		if name != "" && !strings.Contains(words, " "+name+" <") {
			return "no field " + name
		}
	}
	return ""
}

// testExplainFields: fields, types and both forms of output.
func testExplainFields(t *testing.T, c *cluster) {
	c.take(t, []harness.Step{
		{Args: "explain deployment.spec.replicas", Want: `(?s)KIND:  Deployment\n.*FIELD:  replicas <integer>\n.*Number of desired pods. This is a pointer to distinguish between explicit\s+zero\s+and not specified. Defaults to 1.`},
		{Args: "explain pods.spec.containers", Want: `(?s)(FIELD|RESOURCE):  containers <\[\](Object|Container)>( -required-)?\n.*name\s+<string> -required-`},
		{Args: "explain pod.spec.restartPolicy", New: true, Want: `(?s)FIELD: restartPolicy <string>\nENUM:\n    Always\n    Never\n    OnFailure\n`},
		{Args: "explain deploy --recursive", Want: `(?s)\sspec\s+<\S+>.*\stemplate\s+<\S+>.*\scontainers\s+<\[\]\S+>.*\sreadinessProbe\s+<\S+>`},
		{Args: "explain hpa --api-version=autoscaling/v1", Want: `(?s)VERSION:  (autoscaling/)?v1\n.*configuration of a horizontal pod autoscaler`},
		{Args: "explain cronjob.spec.jobTemplate.spec.template.spec.containers.resources.limits", Want: `(?s)FIELD:  limits <map\[string\](string|Quantity)>\n.*Limits describes the maximum amount of compute resources allowed`},
		{Args: "explain secrets.data", Want: `FIELD:  data <map\[string\]string>\n`},
		{Args: "explain service.spec.ports.targetPort", Want: `FIELD:  targetPort <(string|IntOrString)>\n`},
		{Args: "explain pods --output=plaintext-openapiv2", New: true, Want: `(?s)^KIND:  Pod\nVERSION:  v1\n\nDESCRIPTION:\n  Pod is a collection of containers`},
		{Args: "explain pods --output=nonsense", New: true, Fails: true, Want: `error`},
		{Args: "explain deployments --api-version=apps/v9", Fails: true, Want: `couldn't find resource for|no matches for`},
	})
}
