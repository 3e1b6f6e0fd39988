package rest

import (
	"cmp"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	metascheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// queries are as clients send them, and some that are wrong.
var queries = []string{
	"limit=500", "limit=500&continue=eyJydiI6MSwibmFtZSI6ImEifQ", "limit=-1", "limit=", "limit=9223372036854775808",
	"allowWatchBookmarks=true&resourceVersion=12&timeout=9m31s&timeoutSeconds=571&watch=true",
	"allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan&sendInitialEvents=true&timeoutSeconds=345&watch=1",
	"resourceVersion=0&resourceVersionMatch=Exact", "sendInitialEvents=False", "watch=0", "watch", "watch=&watch=1", "allowWatchBookmarks=maybe",
	"labelSelector=app%3Dweb%2Ctier+in+%28a%2Cb%29%2C%21c%2Cd%2Ce%21%3Df", "labelSelector=a%3E1", "labelSelector=a==b==c", "labelSelector=,",
	"fieldSelector=metadata.name%3Da%2Cstatus.phase%21%3DRunning", "fieldSelector=spec.nodeName%3D", `fieldSelector=a%3D%5C%2C`, "fieldSelector=a",
	"fieldManager=kubectl-client-side-apply&fieldValidation=Strict", "dryRun=All&fieldManager=kubectl-edit&fieldValidation=Ignore",
	"fieldManager=controller&force=true", "dryRun=All&dryRun=Some", "fieldValidation=", "force=0", "fieldManager=%00",
	"gracePeriodSeconds=0&propagationPolicy=Foreground", "orphanDependents=true", "propagationPolicy=+Orphan", "propagationPolicy=", "gracePeriodSeconds=x", "timeoutSeconds=1.5",
	"pretty=true", "%zz", "a=b;c=d", "",
}

// Parameters mean what they mean to Kubernetes' library, and are refused in its words.
func FuzzParameters(f *testing.F) {
	for _, query := range queries {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{}}
		compareLists(t, r)
		compareWatches(t, r)
		compareDeletions(t, r)
		compareCreations(t, r)
		comparePatches(t, r)
	})
}

// decodes reads the parameters as Kubernetes does.
func decodes(r *http.Request, into runtime.Object) error {
	return metascheme.ParameterCodec.DecodeParameters(r.URL.Query(), metav1.SchemeGroupVersion, into)
}

// agree fails unless both took the parameters and read the same, or refused them in the
// same words.
func agree(t *testing.T, what string, err, refused error, ours, theirs []any) {
	t.Helper()
	switch {
	case (err == nil) != (refused == nil) || err != nil && !strings.HasSuffix(err.Error(), refused.Error()):
		t.Errorf("%s: %v\nKubernetes: %v", what, err, refused)
	case err == nil && !reflect.DeepEqual(ours, theirs):
		t.Errorf("%s: %+v\nKubernetes: %+v", what, ours, theirs)
	}
}

func compareLists(t *testing.T, r *http.Request) {
	t.Helper()
	var o metav1.ListOptions
	ours, err := listOptions(r.URL.Query())
	refused := decodes(r, &o)
	agree(t, "list", err, refused,
		[]any{ours.Limit, ours.Continue, ours.LabelSelector, ours.FieldSelector, ours.ResourceVersion, ours.ResourceVersionMatch, ours.SendInitialEvents},
		[]any{o.Limit, o.Continue, o.LabelSelector, o.FieldSelector, o.ResourceVersion, o.ResourceVersionMatch, o.SendInitialEvents})
	if err == nil && isWatch(r) != o.Watch {
		t.Errorf("watch: %v, Kubernetes: %v", isWatch(r), o.Watch)
	}
}

func compareWatches(t *testing.T, r *http.Request) {
	t.Helper()
	var o metav1.ListOptions
	ours, timeout, err := watchOptions(r)
	refused := decodes(r, &o)
	agree(t, "watch", err, refused,
		[]any{ours.LabelSelector, ours.FieldSelector, ours.ResourceVersion, ours.ResourceVersionMatch, ours.SendInitialEvents, ours.Bookmarks},
		[]any{o.LabelSelector, o.FieldSelector, o.ResourceVersion, o.ResourceVersionMatch, o.SendInitialEvents, o.AllowWatchBookmarks})
	if err == nil && timeout <= 0 {
		t.Errorf("the watch ends after %v", timeout)
	}
}

func compareDeletions(t *testing.T, r *http.Request) {
	t.Helper()
	var ours, o metav1.DeleteOptions
	err, refused := deleteQuery(r, &ours), decodes(r, &o)
	agree(t, "delete", err, refused,
		[]any{ours.GracePeriodSeconds, ours.OrphanDependents, ours.PropagationPolicy, ours.DryRun},
		[]any{o.GracePeriodSeconds, o.OrphanDependents, o.PropagationPolicy, o.DryRun})
}

func compareCreations(t *testing.T, r *http.Request) {
	t.Helper()
	var o metav1.CreateOptions
	ours, err := readOptions(r, createOptions)
	refused := decodes(r, &o)
	if errs := validation.ValidateCreateOptions(&o); refused == nil && len(errs) > 0 {
		refused = invalidOptions(createOptions, errs)
	}
	agree(t, "create", err, refused, []any{ours.DryRun, ours.Manager, ours.Validation}, []any{len(o.DryRun) > 0, o.FieldManager, validationOf(o.FieldValidation)})
}

func comparePatches(t *testing.T, r *http.Request) {
	t.Helper()
	for _, kind := range objects.PatchTypes {
		var o metav1.PatchOptions
		ours, err := readPatchOptions(r, kind)
		refused := decodes(r, &o)
		if errs := validation.ValidatePatchOptions(&o, kind); refused == nil && len(errs) > 0 {
			refused = invalidOptions(patchOptions, errs)
		}
		agree(t, string(kind), err, refused,
			[]any{ours.DryRun, ours.Manager, ours.Validation, ours.Force}, []any{len(o.DryRun) > 0, o.FieldManager, validationOf(o.FieldValidation), o.Force})
	}
}

func validationOf(parameter string) codec.Validation {
	return codec.Validation(cmp.Or(parameter, string(codec.Warn)))
}

// accepts are as clients send them, and some that are wrong.
var accepts = []string{
	"application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
	"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json",
	"application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
	"application/vnd.kubernetes.protobuf,application/json", "application/vnd.kubernetes.protobuf;stream=watch", "application/json;stream=watch",
	"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "*/*", "application/yaml;q=0.5,application/json;q=0.6;pretty=1", "text/*", "*",
	"application/json;", ";;;", ",", "application/json;q=NaN", "application/json; as=Table ;v=v1; g=meta.k8s.io", "",
}

// Whatever is accepted, the answer is of a form that there is.
func FuzzAccept(f *testing.F) {
	for _, accept := range accepts {
		f.Add(accept, "curl/8", "pretty=0")
	}
	f.Fuzz(func(t *testing.T, accept, agent, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Accept": {accept}, "User-Agent": {agent}, "Content-Type": {accept}}}
		for _, watching := range []bool{false, true} {
			if form, err := negotiate(r, watching); err == nil {
				checkForm(t, form, watching)
			}
		}
		if form, err := negotiateWhole(r); err == nil && form.as != asWhole {
			t.Errorf("whole objects as %+v", form)
		}
		if media, err := bodyMedia(r); err == nil && !slices.Contains(mediaTypes, media) {
			t.Errorf("a body of %s", media)
		}
		wantsAggregated(r)
	})
}

var mediaTypes = []string{typeJSON, typeYAML, typeProtobuf}

func checkForm(t *testing.T, f form, watching bool) {
	t.Helper()
	switch {
	case !slices.Contains(mediaTypes, f.media),
		!slices.Contains([]string{asWhole, asTable, asPartial, asList}, f.as),
		f.as == asTable && f.media == typeProtobuf,
		watching && f.media == typeYAML,
		f.as != asWhole && f.version != "v1" && f.version != "v1beta1":
		t.Errorf("watching %v: %+v", watching, f)
	}
}

// A path that is understood names what its parts say, and nothing else.
func FuzzRoute(f *testing.F) {
	for _, path := range []string{
		"/api/v1", "/apis/apps/v1", "/api/v1/pods", "/api/v1/namespaces", "/api/v1/namespaces/default", "/api/v1/namespaces/default/status", "/api/v1/namespaces/default/finalize",
		"/api/v1/namespaces/default/pods/a/log", "/api/v1/watch/pods", "/api/v1/watch/namespaces/default/pods/a", "/apis/apps/v1/namespaces/default/deployments/a/scale",
		"/api/v1/namespaces/default/services/http:web:80/proxy/a//b/../c?d", "/api/v1/nodes/n1/proxy/", "/api/v1//pods", "//api/v1/pods/", "/api", "/apis/apps", "", "/api/v1/namespaces//pods",
		"/api/v1/watch", "/api/v1/watch/watch", "/apis//v1/pods", "/api/v1/namespaces/namespaces/namespaces/namespaces",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r, ok := parseRoute(path)
		if !ok {
			return
		}
		if r.gv.Version == "" || slices.Contains([]string{r.resource, r.name, r.sub}, "") && r.sub != "" || r.resource == "" && r.name != "" {
			t.Errorf("%q is %+v", path, r)
		}
		if again, ok := parseRoute(r.path()); !ok || again != r {
			t.Errorf("%q is %+v, but its path %q is %+v", path, r, r.path(), again)
		}
	})
}

// path is the shortest path of the route.
func (r route) path() string {
	parts := []string{"/api", r.gv.Version}
	if r.gv.Group != "" {
		parts = []string{"/apis", r.gv.Group, r.gv.Version}
	}
	if r.watch {
		parts = append(parts, "watch")
	}
	if r.namespace != "" {
		parts = append(parts, "namespaces", r.namespace)
	}
	for _, part := range []string{r.resource, r.name, r.sub} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "/")
}
