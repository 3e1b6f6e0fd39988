package rest_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// inProtobuf is an object in Kubernetes' envelope.
func inProtobuf(t *testing.T, apiVersion, kind string, raw []byte) string {
	t.Helper()
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: apiVersion, Kind: kind}, Raw: raw}
	body, err := unknown.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return "k8s\x00" + string(body)
}

func marshalled(t *testing.T, obj interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	raw, err := obj.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if _, err := zip.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// Requests that are wrong get the code, the reason and the text that Kubernetes
// answers with, and change nothing. The texts are from Kubernetes' sources.
func TestMalformedRequests(t *testing.T) {
	const (
		cms  = "/api/v1/namespaces/default/configmaps"
		a    = cms + "/a"
		none = metav1.StatusReason("")

		badRequest = metav1.StatusReasonBadRequest
		invalid    = metav1.StatusReasonInvalid
		notFound   = metav1.StatusReasonNotFound
		notAllowed = metav1.StatusReasonMethodNotAllowed
		conflict   = metav1.StatusReasonConflict

		notAcceptable = metav1.StatusReasonNotAcceptable

		noSuchPath = "the server could not find the requested resource"
		noMethod   = "the server does not allow this method on the requested resource"
		asProtobuf = "Content-Type: application/vnd.kubernetes.protobuf"
		asYAML     = "Content-Type: application/yaml"
		mergePatch = "Content-Type: application/merge-patch+json"
	)
	good := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "new"}, Data: map[string]string{"key": "value"}}
	raw := marshalled(t, good)
	badUTF8 := good.DeepCopy()
	badUTF8.Labels = map[string]string{"key": "\xff\xfe"}
	deep := strings.Repeat(`{"a":`, 20000) + "1" + strings.Repeat("}", 20000)
	bomb := "a: &a [x,x,x,x,x,x,x,x,x]\n"
	for _, pair := range []string{"ba", "cb", "dc", "ed", "fe", "gf", "hg", "ih"} {
		bomb += pair[:1] + ": &" + pair[:1] + " [" + strings.Repeat("*"+pair[1:]+",", 8) + "*" + pair[1:] + "]\n"
	}

	for _, test := range []struct {
		name, method, path, body string
		headers                  []string
		code                     int
		reason                   metav1.StatusReason
		message                  string
	}{
		// Bodies.
		{"no body", "POST", cms, "", nil, 400, badRequest,
			"the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"},
		{"broken JSON", "POST", cms, `{"metadata":{`, nil, 400, badRequest,
			`the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error: unexpected end of JSON input ({"metadata":{)`},
		{"not an object", "POST", cms, `[]`, nil, 400, badRequest, "(5b5d)"},
		{"trailing data", "POST", cms, cm + `{}`, nil, 400, badRequest,
			`couldn't get version/kind; json parse error: invalid character '{' after top-level value ({"apiVersion":"v1","kind":"Con ...)`},
		{"two documents", "POST", cms, "metadata: {name: x}\n---\nmetadata: {name: y}\n", []string{asYAML}, 201, none, ""}, // as with Kubernetes, the first counts
		{"broken YAML", "POST", cms, "a: [", []string{asYAML}, 400, badRequest, "the object provided is unrecognized (must be of type ConfigMap): "},
		{"nested too deep", "POST", cms, deep, nil, 400, badRequest, "exceeded max depth"},
		{"YAML that grows", "POST", cms, bomb, []string{asYAML}, 400, badRequest, "excessive aliasing"},
		{"wrong field type", "POST", cms, `{"metadata":{"name":1}}`, nil, 400, badRequest,
			`ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string`},
		{"wrong kind", "POST", cms, `{"apiVersion":"v1","kind":"Pod"}`, nil, 400, badRequest,
			`Pod in version "v1" cannot be handled as a ConfigMap: converting (v1.Pod) to (core.ConfigMap): unknown conversion`},
		{"kind of another group", "POST", cms, `{"apiVersion":"apps/v1","kind":"Deployment"}`, nil, 400, badRequest,
			`Deployment in version "v1" cannot be handled as a ConfigMap: converting (v1.Deployment) to (core.ConfigMap): unknown conversion`},
		{"wrong version", "POST", cms, `{"apiVersion":"v9","kind":"ConfigMap"}`, nil, 400, badRequest,
			"the API version in the data (v9) does not match the expected API version (v1)"},
		{"too large", "POST", cms, `{"x":"` + strings.Repeat("x", 4<<20) + `"}`, nil, 413, metav1.StatusReasonRequestEntityTooLarge,
			"Request entity too large: limit is 3145728"},
		{"large when stored", "POST", cms, `{"metadata":{"name":"big"},"data":{"x":"` + strings.Repeat("x", 2<<20) + `"}}`, nil, 422, invalid,
			`ConfigMap "big" is invalid: []: Too long: may not be more than 1048576 bytes`},
		{"compressed body", "POST", cms, zipped(t, cm), []string{"Content-Encoding: gzip"}, 400, badRequest, "(1f8b"},
		{"duplicate field", "POST", cms + "?fieldValidation=Strict", `{"metadata":{"name":"x"},"data":{},"data":{}}`, nil, 400, badRequest,
			`ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data"`},
		{"unknown field", "POST", cms + "?fieldValidation=Strict", `{"metadata":{"name":"x"},"dada":{}}`, nil, 400, badRequest,
			`strict decoding error: unknown field "dada"`},
		{"text as protobuf", "POST", cms, cm, []string{asProtobuf}, 400, badRequest,
			"the object provided is unrecognized (must be of type ConfigMap): provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"},
		{"no protobuf", "POST", cms, "", []string{asProtobuf}, 400, badRequest, "empty data (<empty>)"},
		{"nothing in an envelope", "POST", cms, "k8s\x00", []string{asProtobuf}, 400, badRequest,
			"the object provided is unrecognized (must be of type ConfigMap): empty body (6b387300)"},
		{"truncated envelope", "POST", cms, "k8s\x00\x0a\x7f", []string{asProtobuf}, 400, badRequest,
			"the object provided is unrecognized (must be of type ConfigMap): unexpected EOF (6b3873000a7f)"},
		{"truncated protobuf", "POST", cms, inProtobuf(t, "v1", "ConfigMap", raw[:len(raw)-1]), []string{asProtobuf}, 400, badRequest,
			`ConfigMap in version "v1" cannot be handled as a ConfigMap: unexpected EOF`},
		{"protobuf of another kind", "POST", cms, inProtobuf(t, "v1", "Secret", raw), []string{asProtobuf}, 400, badRequest,
			`Secret in version "v1" cannot be handled as a ConfigMap: converting (v1.Secret) to (core.ConfigMap): unknown conversion`},
		{"invalid UTF-8", "POST", cms, inProtobuf(t, "v1", "ConfigMap", marshalled(t, badUTF8)), []string{asProtobuf}, 422, invalid,
			`metadata.labels: Invalid value: "\xff\xfe"`},
		{"unknown media type", "POST", cms, cm, []string{"Content-Type: text/plain"}, 415, metav1.StatusReasonUnsupportedMediaType,
			"the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf"},

		// Names.
		{"no name", "POST", cms, `{}`, nil, 422, invalid,
			`ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required`},
		{"upper case", "POST", cms, `{"metadata":{"name":"Upper"}}`, nil, 422, invalid, `ConfigMap "Upper" is invalid: metadata.name: Invalid value: "Upper": a lowercase RFC 1123 subdomain`},
		{"huge name", "POST", cms, `{"metadata":{"name":"` + strings.Repeat("x", 254) + `"}}`, nil, 422, invalid, "must be no more than 253 characters"},
		{"huge generateName", "POST", cms, `{"metadata":{"generateName":"` + strings.Repeat("x", 300) + `"}}`, nil, 422, invalid, "metadata.generateName: Invalid value"},
		{"bad generateName", "POST", cms, `{"metadata":{"generateName":"_"}}`, nil, 422, invalid, `metadata.generateName: Invalid value: "_"`},
		{"other namespace", "POST", cms, `{"metadata":{"name":"x","namespace":"other"}}`, nil, 400, badRequest,
			"the namespace of the provided object does not match the namespace sent on the request"},
		{"no namespace", "POST", "/api/v1/configmaps", cm, nil, 405, notAllowed, noMethod},
		{"unknown namespace", "POST", "/api/v1/namespaces/none/configmaps", cm, nil, 404, notFound, `namespaces "none" not found`},
		{"other name", "PUT", cms + "/b", cm, nil, 400, badRequest, "the name of the object (a) does not match the name on the URL (b)"},
		{"other namespace in update", "PUT", a, `{"metadata":{"name":"a","namespace":"other"}}`, nil, 400, badRequest,
			"the namespace of the provided object does not match the namespace sent on the request"},
		{"update of nothing", "PUT", cms + "/none", `{"metadata":{"name":"none"}}`, nil, 404, notFound, `configmaps "none" not found`},
		{"old version", "PUT", a, `{"metadata":{"name":"a","resourceVersion":"1"}}`, nil, 409, conflict,
			`Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again`},
		{"version that is none", "PUT", a, `{"metadata":{"name":"a","resourceVersion":"x"}}`, nil, 409, conflict, "the object has been modified"},
		{"new with a version", "POST", cms, `{"metadata":{"name":"x","resourceVersion":"1"}}`, nil, 400, badRequest,
			"resourceVersion should not be set on objects to be created"},

		// Parameters.
		{"dry run", "POST", cms + "?dryRun=Some", cm, nil, 422, invalid,
			`CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"`},
		{"field validation", "PUT", a + "?fieldValidation=Maybe", cm, nil, 422, invalid,
			`UpdateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn"`},
		{"field manager", "POST", cms + "?fieldManager=" + strings.Repeat("x", 129), cm, nil, 422, invalid,
			`CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes`},
		{"force without apply", "PATCH", a + "?force=true", `{}`, []string{mergePatch}, 422, invalid,
			`PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch`},
		{"timeout", "GET", cms + "?timeout=soon", "", nil, 400, badRequest,
			`invalid timeout specified in the request URL - time: invalid duration "soon"`},
		{"limit", "GET", cms + "?limit=few", "", nil, 400, badRequest, `strconv.ParseInt: parsing "few": invalid syntax`},
		{"watch's timeout", "GET", cms + "?watch=1&timeoutSeconds=x", "", nil, 400, badRequest, `strconv.ParseInt: parsing "x": invalid syntax`},
		{"label selector", "GET", cms + "?labelSelector=a==b==c", "", nil, 400, badRequest, "unable to parse requirement: found '==', expected: ',' or 'end of string'"},
		{"label", "GET", cms + "?labelSelector=-a", "", nil, 400, badRequest, "unable to parse requirement: "},
		{"field selector", "GET", cms + "?fieldSelector=a", "", nil, 400, badRequest, "invalid selector: 'a'; can't understand 'a'"},
		{"field", "GET", cms + "?fieldSelector=spec.x=1", "", nil, 400, badRequest,
			`"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"`},
		{"field of a pod", "GET", "/api/v1/pods?fieldSelector=spec.x=1", "", nil, 400, badRequest, "field label not supported: spec.x"},
		{"continue", "GET", cms + "?limit=1&continue=%21%21", "", nil, 400, badRequest,
			"invalid continue token: continue key is not valid: illegal base64 data at input byte 0"},
		{"continue and version", "GET", cms + "?limit=1&resourceVersion=1&continue=eyJydiI6MSwibmFtZSI6ImEifQ", "", nil, 400, badRequest,
			"specifying resource version is not allowed when using continue"},
		{"version", "GET", cms + "?resourceVersion=new", "", nil, 400, badRequest,
			`invalid resource version: resourceVersion: Invalid value: "new": strconv.ParseUint: parsing "new": invalid syntax`},
		{"version of a watch", "GET", cms + "?watch=1&resourceVersion=new", "", nil, 422, invalid, `resourceVersion: Invalid value: "new"`},
		{"match without version", "GET", cms + "?resourceVersionMatch=Exact", "", nil, 422, invalid,
			`ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided`},
		{"unknown match", "GET", cms + "?resourceVersion=1&resourceVersionMatch=About", "", nil, 422, invalid, `resourceVersionMatch: Unsupported value: "About": supported values: "Exact", "NotOlderThan", ""`},
		{"initial events of a list", "GET", cms + "?sendInitialEvents=true", "", nil, 422, invalid, "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"},
		{"initial events without match", "GET", cms + "?watch=1&sendInitialEvents=true", "", nil, 422, invalid,
			"resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"},
		{"not acceptable", "GET", cms, "", []string{"Accept: text/html"}, 406, notAcceptable,
			"only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf"},
		{"metadata of one of a list", "GET", cms, "", []string{"Accept: application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}, 406,
			notAcceptable, "you requested PartialObjectMetadata, but the requested object is a list (*v1.ConfigMapList)"},
		{"table option", "GET", cms + "?includeObject=All", "", []string{"Accept: application/json;as=Table;v=v1;g=meta.k8s.io"}, 422, invalid,
			`TableOptions.meta.k8s.io "" is invalid: includeObject: Invalid value: "All": must be 'Metadata', 'Object', 'None', or empty`},

		{"table option of a write", "POST", cms + "?includeObject=All", `{"metadata":{"name":"x"}}`, []string{"Accept: application/json;as=Table;v=v1;g=meta.k8s.io"}, 422, invalid, "includeObject"},
		{"create that cannot be answered", "POST", cms, `{"metadata":{"name":"x"}}`, []string{"Accept: text/html"}, 406, notAcceptable, "only the following media types are accepted"},
		{"update that cannot be answered", "PUT", a, cm, []string{"Accept: text/html"}, 406, notAcceptable, "only the following media types are accepted"},
		{"patch that cannot be answered", "PATCH", a, `{"data":{"x":"z"}}`, []string{mergePatch, "Accept: text/html"}, 406, notAcceptable, "only the following media types are accepted"},
		{"deletion that cannot be answered", "DELETE", a, "", []string{"Accept: text/html"}, 406, notAcceptable, "only the following media types are accepted"},
		{"deletion of all that cannot be answered", "DELETE", cms, "", []string{"Accept: application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"}, 406, notAcceptable, "is a list"},
		{"one as a list", "DELETE", a, "", []string{"Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}, 406, notAcceptable,
			"you requested PartialObjectMetadataList, but the requested object is not a list (*v1.ConfigMap)"},
		{"watch of lists", "GET", cms + "?watch=1", "", []string{"Accept: application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"}, 406, notAcceptable, "not a list"},

		// Patches.
		{"patch of no type", "PATCH", a, `{}`, []string{"Content-Type: application/json"}, 415, metav1.StatusReasonUnsupportedMediaType, "the body of the request was in an unknown format"},
		{"broken patch", "PATCH", a, `{`, []string{mergePatch}, 400, badRequest, ""},
		{"broken JSON patch", "PATCH", a, `{}`, []string{"Content-Type: application/json-patch+json"}, 400, badRequest, ""},
		{"failing test in a patch", "PATCH", a, `[{"op":"test","path":"/data/x","value":"z"}]`, []string{"Content-Type: application/json-patch+json"}, 422, invalid, ""},
		{"patch of the name", "PATCH", a, `{"metadata":{"name":"b"}}`, []string{mergePatch}, 400, badRequest, "the name of the object (b) does not match the name on the URL (a)"},
		{"patch of nothing", "PATCH", cms + "/none", `{}`, []string{mergePatch}, 404, notFound, `configmaps "none" not found`},

		// Deletions.
		{"garbage as options", "DELETE", a, `{"x`, nil, 400, badRequest, ""},
		{"other kind as options", "DELETE", a, `{"apiVersion":"v1","kind":"Pod"}`, nil, 400, badRequest, ""},
		{"policy", "DELETE", a + "?propagationPolicy=Sideways", "", nil, 422, invalid,
			`DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan", "nil"`},
		{"two policies", "DELETE", a, `{"orphanDependents":true,"propagationPolicy":"Orphan"}`, nil, 422, invalid, "orphanDependents and deletionPropagation cannot be both set"},
		{"grace", "DELETE", a + "?gracePeriodSeconds=long", "", nil, 400, badRequest, `strconv.ParseInt: parsing "long": invalid syntax`},
		{"other uid", "DELETE", a, `{"preconditions":{"uid":"other"}}`, nil, 409, conflict, "the UID in the precondition (other) does not match the UID in record ("},
		{"other version", "DELETE", a, `{"preconditions":{"resourceVersion":"1"}}`, nil, 409, conflict, "the ResourceVersion in the precondition (1) does not match the ResourceVersion in record ("},
		{"deletion of nothing", "DELETE", cms + "/none", "", nil, 404, notFound, `configmaps "none" not found`},

		// Paths and methods.
		{"post to one", "POST", a, cm, nil, 405, notAllowed, noMethod},
		{"put to all", "PUT", cms, cm, nil, 405, notAllowed, noMethod},
		{"options", "OPTIONS", a, "", nil, 405, notAllowed, noMethod},
		{"unknown method", "BREW", a, "", nil, 405, notAllowed, noMethod},
		{"unknown resource", "GET", "/api/v1/namespaces/default/things", "", nil, 404, notFound, noSuchPath},
		{"unknown group", "GET", "/apis/nothing/v1/things", "", nil, 404, notFound, noSuchPath},
		{"unknown version", "GET", "/api/v9/pods", "", nil, 404, notFound, noSuchPath},
		{"unknown subresource", "GET", a + "/frobnicate", "", nil, 404, notFound, ""},
		{"too long a path", "GET", a + "/b/c/d", "", nil, 404, notFound, noSuchPath},
		{"escaped slash", "GET", cms + "/a%2Fb", "", nil, 404, notFound, ""},
		{"double slash", "GET", "/api/v1//configmaps", "", nil, 404, notFound, noSuchPath},
		{"no namespace between slashes", "GET", "/api/v1/namespaces//configmaps", "", nil, 404, notFound, noSuchPath},
		{"no version above a proxy", "GET", "/api//namespaces/default/pods/a/proxy/x", "", nil, 404, notFound, noSuchPath},
		{"no group above a proxy", "GET", "/apis//v1/namespaces/default/pods/a/proxy", "", nil, 404, notFound, noSuchPath},
		{"dots", "GET", cms + "/../configmaps/a", "", nil, 404, notFound, noSuchPath},
		{"escaped dots", "GET", cms + "/%2e%2e", "", nil, 404, notFound, ""},
		{"namespace of what has none", "GET", "/api/v1/namespaces/default/nodes", "", nil, 404, notFound, noSuchPath},
		{"old watch of a part", "GET", "/api/v1/watch/namespaces/default/configmaps/a/status", "", nil, 404, notFound, ""},
		{"old watch with another name", "GET", "/api/v1/watch/namespaces/default/configmaps/a?fieldSelector=metadata.name%3Db", "", nil, 400, badRequest,
			"fieldSelector metadata.name doesn't match requested name"},
	} {
		t.Run(test.name, func(t *testing.T) {
			replica := objectstest.NewReplica()
			d := openOver(t, replica)
			d.call(t, "POST", cms, cm)
			before := replica.Store().View().Revision()
			response, body := d.call(t, test.method, test.path, test.body, test.headers...)
			if response.StatusCode != test.code {
				t.Fatalf("%d, want %d: %.500s", response.StatusCode, test.code, body)
			}
			if test.reason == none {
				return
			}
			var status metav1.Status
			if err := json.Unmarshal([]byte(body), &status); err != nil {
				t.Fatalf("%v: %.500s", err, body)
			}
			if status.Kind != "Status" || int(status.Code) != test.code || status.Reason != test.reason || !strings.Contains(status.Message, test.message) {
				t.Errorf("%d %s %.500s\nwant %s %s", status.Code, status.Reason, status.Message, test.reason, test.message)
			}
			if !strings.Contains(strings.Join(test.headers, "\n"), "Accept:") {
				response, body = d.call(t, test.method, test.path, test.body, append(test.headers, "Accept: application/vnd.kubernetes.protobuf")...)
				if again := statusOf(t, body); response.StatusCode != test.code || !strings.Contains(again.Message, test.message) || again.Reason != status.Reason {
					t.Errorf("in protobuf: %d %+v", response.StatusCode, again)
				}
			}
			if after := replica.Store().View().Revision(); after != before {
				t.Errorf("something was done: revision %d, then %d", before, after)
			}
		})
	}
}

// statusOf reads a Status in Kubernetes' envelope.
func statusOf(t *testing.T, body string) metav1.Status {
	t.Helper()
	var unknown runtime.Unknown
	var status metav1.Status
	enveloped, ok := strings.CutPrefix(body, "k8s\x00")
	if err := unknown.Unmarshal([]byte(enveloped)); err != nil || !ok || unknown.Kind != "Status" {
		t.Fatalf("%v: %.500q", err, body)
	}
	if err := status.Unmarshal(unknown.Raw); err != nil {
		t.Fatal(err)
	}
	return status
}
