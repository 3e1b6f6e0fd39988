package rest

import (
	"cmp"
	"fmt"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/munnerz/goautoneg"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// Media types.
const (
	typeJSON     = "application/json"
	typeYAML     = "application/yaml"
	typeProtobuf = "application/vnd.kubernetes.protobuf"
)

// What an answer shows of the objects.
const (
	asWhole   = ""
	asTable   = "Table"
	asPartial = "PartialObjectMetadata"
	asList    = "PartialObjectMetadataList"
)

// form is how an answer is to be written.
type form struct {
	media string
	as    string
	// version of meta.k8s.io that as is of: v1 or v1beta1.
	version string
	// include is what a row of a table holds of its object.
	include metav1.IncludeObjectPolicy
	pretty  bool
}

// gvk is the type of what as names.
func (f form) gvk(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: metav1.GroupName, Version: f.version, Kind: kind}
}

// parseAccept returns the alternatives, the preferred ones first, as Kubernetes reads
// them: by the same library, which lets pass much that RFC 9110 does not.
func parseAccept(header string) []goautoneg.Accept {
	if header == "" {
		return []goautoneg.Accept{{Type: "*", SubType: "*"}}
	}
	return goautoneg.ParseAccept(header)
}

func mediaOf(c goautoneg.Accept) string { return c.Type + "/" + c.SubType }

// negotiate chooses the form of an answer that holds objects.
func negotiate(r *http.Request, watching bool) (form, error) {
	return choose(r, watching, true)
}

// negotiateWhole is negotiate where objects are not to be had as tables or metadata.
func negotiateWhole(r *http.Request) (form, error) { return choose(r, false, false) }

func choose(r *http.Request, watching, transformed bool) (form, error) {
	f := form{pretty: wantsPretty(r)}
	for _, c := range parseAccept(r.Header.Get("Accept")) {
		media, ok := canonicalMedia(mediaOf(c))
		if !ok || (watching && media == typeYAML) {
			continue
		}
		switch as := c.Params["as"]; as {
		case asWhole:
		case asTable, asPartial, asList:
			if c.Params["g"] != metav1.GroupName || (c.Params["v"] != "v1" && c.Params["v"] != "v1beta1") {
				continue
			}
			if !transformed || as == asTable && media == typeProtobuf {
				continue // Tables have no protobuf form.
			}
			f.as = as
		default:
			continue
		}
		if pretty, ok := c.Params["pretty"]; ok {
			f.pretty = pretty == "1"
		}
		f.media, f.version = media, c.Params["v"]
		return f, f.tabulate(r)
	}
	return f, notAcceptable("only the following media types are accepted: " + strings.Join([]string{typeJSON, typeYAML, typeProtobuf}, ", "))
}

// tabulate reads the options of a table, if it is one.
func (f *form) tabulate(r *http.Request) error {
	if f.as != asTable {
		return nil
	}
	o := metav1.TableOptions{IncludeObject: metav1.IncludeObjectPolicy(parameter(r, "includeObject"))}
	if errs := validation.ValidateTableOptions(&o); len(errs) > 0 {
		return invalidOptions("TableOptions", errs)
	}
	f.include = cmp.Or(o.IncludeObject, metav1.IncludeMetadata)
	return nil
}

// objectForm is the form of an answer that is one object. Who changes something asks
// before: nothing is done of what cannot be answered.
func objectForm(r *http.Request, t objects.Target) (form, error) {
	f, err := negotiate(r, false)
	if !slices.Contains(t.Kind.Verbs, "get") { // A review has no metadata, and is no row of a table.
		f, err = negotiateWhole(r)
	}
	switch {
	case err != nil:
		return f, err
	case f.as == asList:
		_, gvk := newObject(t)
		return f, mismatch(f.as, "not a list", gvk)
	case f.as == asTable && t.Subresource != "" && len(columnsOf(t)) == 0:
		f.as = asWhole
	}
	return f, nil
}

// pageForm is that of an answer that is a list.
func pageForm(r *http.Request, t objects.Target) (form, error) {
	f, err := negotiate(r, false)
	if err == nil && f.as == asPartial {
		err = mismatch(f.as, "a list", listGVK(t))
	}
	return f, err
}

// wantsPretty tells whether people are going to read the answer: they say so, or
// use a program that shows answers as they are.
func wantsPretty(r *http.Request) bool {
	if text := parameter(r, "pretty"); text != "" {
		pretty, _ := strconv.ParseBool(text)
		return pretty
	}
	agent := r.UserAgent()
	return strings.HasPrefix(agent, "curl") || strings.HasPrefix(agent, "Wget") || strings.HasPrefix(agent, "Mozilla/5.0")
}

func canonicalMedia(media string) (string, bool) {
	switch media {
	case "*/*", "application/*", typeJSON:
		return typeJSON, true
	case typeYAML, "application/x-yaml", "text/yaml":
		return typeYAML, true
	case typeProtobuf:
		return typeProtobuf, true
	}
	return "", false
}

func notAcceptable(message string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable, Message: message,
	}}
}

// mismatch is the answer to who asks for the metadata of a list as those of an
// object, or the other way round.
func mismatch(as, what string, gvk schema.GroupVersionKind) error {
	return notAcceptable(fmt.Sprintf("you requested %s, but the requested object is %s (*%s.%s)", as, what, gvk.Version, gvk.Kind))
}

// bodyMedia returns the media type of the request's body; none is JSON.
func bodyMedia(r *http.Request) (string, error) {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return typeJSON, nil
	}
	media, _, err := mime.ParseMediaType(header)
	if err == nil {
		if known, ok := canonicalMedia(media); ok && !strings.Contains(media, "*") {
			return known, nil
		}
	}
	return "", unsupportedMedia()
}

func unsupportedMedia() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: "the body of the request was in an unknown format - accepted media types include: " +
			strings.Join([]string{typeJSON, typeYAML, typeProtobuf}, ", "),
	}}
}
