package rest

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/audit"
)

// record is what a request and its answer say, for the audit log.
type record struct {
	entry   *audit.Entry
	code    int            // 0 until the answer begins
	status  *metav1.Status // of a failure
	lasting bool           // the answer goes on: the log is told when it begins, too

	request, answer *bytes.Buffer // nil where they are not written down
}

// begun is told the answer's code.
func (c *record) begun(code int) {
	if c == nil || c.code != 0 {
		return
	}
	c.code = code
	if c.lasting {
		c.entry.Started(code)
	}
}

// said is told a part of the answer.
func (c *record) said(p []byte) {
	if c == nil {
		return
	}
	c.begun(http.StatusOK)
	if c.answer != nil && !c.lasting {
		c.answer.Write(p)
	}
}

// audit has the request written down, where the policy wants it.
func (h *Handler) audit(w *tracked, r *http.Request, user access.User) {
	if h.auditLog == nil {
		return
	}
	call := audit.Call{ID: r.Header.Get("Audit-ID"), URI: r.URL.RequestURI(), UserAgent: r.UserAgent(), SourceIPs: sourcesOf(r)}
	call.Request = pathRequest(r)
	if route, ok := parseRoute(r.URL.Path); ok && route.resource != "" {
		call.Request, call.Version = requestOf(r, route), route.gv.Version
	}
	call.User = user
	entry := h.auditLog.Begin(call)
	if entry == nil {
		return
	}
	w.Header().Set("Audit-Id", entry.ID())
	w.record = &record{entry: entry, lasting: call.Verb == "watch" || streamFuncs[call.Subresource] != nil}
	if entry.WantsRequest() && r.Body != nil {
		w.record.request = new(bytes.Buffer)
		r.Body = copied{r.Body, w.record.request}
	}
	if entry.WantsResponse() {
		w.record.answer = new(bytes.Buffer)
		r.Header.Del("Accept-Encoding") // What is written down is not compressed.
	}
}

// copied is a body of which what is read is kept.
type copied struct {
	io.ReadCloser
	into *bytes.Buffer
}

func (c copied) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if room := bodyLimit - c.into.Len(); room > 0 {
		c.into.Write(p[:min(n, room)])
	}
	return n, err
}

// audited has the outcome written down.
func (h *Handler) audited(w *tracked, r *http.Request) {
	c := w.record
	if c == nil {
		return
	}
	if c.code == 0 {
		c.begun(http.StatusOK)
	}
	if c.request != nil {
		c.entry.Request(h.asJSON(r.Header.Get("Content-Type"), c.request.Bytes()))
	}
	var answer []byte
	if c.answer != nil && !c.lasting {
		answer = h.asJSON(w.Header().Get("Content-Type"), c.answer.Bytes())
	}
	c.entry.Completed(c.code, c.status, answer)
}

// sourcesOf returns where a request comes from, as proxies before this server say it.
func sourcesOf(r *http.Request) []string {
	var out []string
	for _, part := range strings.Split(r.Header.Get("X-Forwarded-For"), ",") {
		if ip := net.ParseIP(strings.TrimSpace(part)); ip != nil {
			out = append(out, ip.String())
		}
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil && (len(out) == 0 || out[len(out)-1] != host) {
		out = append(out, host)
	}
	return out
}

// asJSON returns a body in JSON; nil where that is not known.
func (h *Handler) asJSON(contentType string, body []byte) []byte {
	media, _, _ := mime.ParseMediaType(contentType)
	switch {
	case len(body) == 0:
		return nil
	case media == typeYAML || strings.HasSuffix(media, "+yaml"):
		body, _ = yaml.YAMLToJSON(body)
		return body
	case media == typeProtobuf:
		return h.protobufAsJSON(body)
	}
	return body
}

func (h *Handler) protobufAsJSON(body []byte) []byte {
	raw, ok := bytes.CutPrefix(body, []byte("k8s\x00"))
	var unknown runtime.Unknown
	if !ok || unknown.Unmarshal(raw) != nil {
		return nil
	}
	gvk := schema.FromAPIVersionAndKind(unknown.APIVersion, unknown.Kind)
	obj := h.newOf(gvk)
	message, ok := obj.(interface{ Unmarshal([]byte) error })
	if !ok || message.Unmarshal(unknown.Raw) != nil {
		return nil
	}
	obj.GetObjectKind().SetGroupVersionKind(gvk)
	out, err := json.Marshal(obj)
	if err != nil {
		return nil
	}
	return out
}

// newOf returns an empty object of a kind, or of a list of it; nil is none that is known.
func (h *Handler) newOf(gvk schema.GroupVersionKind) runtime.Object {
	if k, ok := h.objects.Kinds().ByKind(gvk); ok {
		return k.New()
	}
	item, isList := strings.CutSuffix(gvk.Kind, "List")
	if k, ok := h.objects.Kinds().ByKind(gvk.GroupVersion().WithKind(item)); isList && ok && k.NewList != nil {
		return k.NewList()
	}
	switch gvk.Kind {
	case "Status":
		return &metav1.Status{}
	case "DeleteOptions":
		return &metav1.DeleteOptions{}
	}
	return nil
}
