package rest

import (
	"mime"
	"net/http"
	"sort"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	media  string
	as     string
	pretty bool
}

// clause is one alternative of an Accept header.
type clause struct {
	media  string
	params map[string]string
	q      float64
}

// parseAccept returns the alternatives, the preferred ones first.
func parseAccept(header string) []clause {
	if strings.TrimSpace(header) == "" {
		return []clause{{media: "*/*", q: 1}}
	}
	var out []clause
	for _, part := range strings.Split(header, ",") {
		media, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		c := clause{media: media, params: params, q: 1}
		if q, err := strconv.ParseFloat(params["q"], 64); err == nil {
			c.q = q
		}
		out = append(out, c)
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].q > out[j].q })
	return out
}

// negotiate chooses the form of an answer that holds objects.
func negotiate(r *http.Request, watching bool) (form, error) {
	pretty := r.URL.Query().Get("pretty")
	f := form{pretty: pretty == "true" || pretty == "1"}
	for _, c := range parseAccept(r.Header.Get("Accept")) {
		media, ok := canonicalMedia(c.media)
		if !ok || (watching && media == typeYAML) {
			continue
		}
		switch as := c.params["as"]; as {
		case asWhole:
		case asTable, asPartial, asList:
			if c.params["g"] != metav1.GroupName || (c.params["v"] != "v1" && c.params["v"] != "v1beta1") {
				continue
			}
			if as == asTable && (media == typeProtobuf || c.params["v"] != "v1") {
				continue // Tables have no protobuf form.
			}
			f.as = as
		default:
			continue
		}
		f.media = media
		return f, nil
	}
	return f, notAcceptable()
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

func notAcceptable() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
		Message: "only the following media types are accepted: " + strings.Join([]string{typeJSON, typeYAML, typeProtobuf}, ", "),
	}}
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
	return "", unsupportedMedia(header)
}

func unsupportedMedia(header string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: "the body of the request was in an unknown format - accepted media types include: " +
			strings.Join([]string{typeJSON, typeYAML, typeProtobuf}, ", ") + " (got " + strconv.Quote(header) + ")",
	}}
}
