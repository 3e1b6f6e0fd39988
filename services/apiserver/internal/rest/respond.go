package rest

import (
	"encoding/json"
	"fmt"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

var statusGVK = schema.GroupVersionKind{Version: "v1", Kind: "Status"}

// envelope wraps an encoded object as Kubernetes' protobuf media type wants it.
func envelope(gvk schema.GroupVersionKind, raw []byte) ([]byte, error) {
	apiVersion, kind := gvk.ToAPIVersionAndKind()
	unknown := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: apiVersion, Kind: kind}, Raw: raw}
	body, err := unknown.Marshal()
	if err != nil {
		return nil, fmt.Errorf("wrap %s: %w", gvk.Kind, err)
	}
	return append([]byte("k8s\x00"), body...), nil
}

// writeStored writes one object.
func (h *Handler) writeStored(w http.ResponseWriter, r *http.Request, f form, code int, t objects.Target, o objects.Stored) error {
	body, err := h.render(f, t, o)
	if err != nil {
		return err
	}
	return write(w, r, code, f, body)
}

// render encodes one object in the form asked for, YAML and indenting apart.
func (h *Handler) render(f form, t objects.Target, o objects.Stored) ([]byte, error) {
	switch f.as {
	case asTable:
		table, err := h.newTable(f, t, []objects.Stored{o}, metav1.ListMeta{ResourceVersion: o.ResourceVersion()}, true)
		if err != nil {
			return nil, err
		}
		return json.Marshal(table)
	case asPartial:
		return renderPartial(f, o)
	}
	if f.media == typeProtobuf {
		return envelope(o.GVK, o.Protobuf())
	}
	return h.objects.JSON(o)
}

func partialOf(f form, o objects.Stored) (*metav1.PartialObjectMetadata, error) {
	meta, err := o.Meta()
	if err != nil {
		return nil, err
	}
	out := &metav1.PartialObjectMetadata{ObjectMeta: *meta}
	out.SetGroupVersionKind(f.gvk(asPartial))
	return out, nil
}

func renderPartial(f form, o objects.Stored) ([]byte, error) {
	partial, err := partialOf(f, o)
	if err != nil {
		return nil, err
	}
	return marshal(f, partial, partial.GroupVersionKind())
}

// marshaler is a type that has both encodings.
type marshaler interface{ Marshal() ([]byte, error) }

func marshal(f form, obj marshaler, gvk schema.GroupVersionKind) ([]byte, error) {
	if f.media != typeProtobuf {
		return json.Marshal(obj)
	}
	raw, err := obj.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", gvk.Kind, err)
	}
	return envelope(gvk, raw)
}

// writePage writes a list.
func (h *Handler) writePage(w http.ResponseWriter, r *http.Request, f form, t objects.Target, page objects.Page) error {
	meta := metav1.ListMeta{ResourceVersion: fmt.Sprint(page.Revision), Continue: page.Continue, RemainingItemCount: page.Remaining}
	var body []byte
	var err error
	switch f.as {
	case asTable:
		table, err := h.newTable(f, t, page.Items, meta, true)
		if err != nil {
			return err
		}
		body, err = json.Marshal(table)
		if err != nil {
			return err
		}
	case asList:
		body, err = partialList(f, page.Items, meta)
	default:
		return h.writeList(w, r, f, t, page.Items, meta)
	}
	if err != nil {
		return err
	}
	return write(w, r, http.StatusOK, f, body)
}

func listGVK(t objects.Target) schema.GroupVersionKind {
	return t.Kind.GVK.GroupVersion().WithKind(t.Kind.GVK.Kind + "List")
}

func partialList(f form, items []objects.Stored, meta metav1.ListMeta) ([]byte, error) {
	list := &metav1.PartialObjectMetadataList{ListMeta: meta, Items: make([]metav1.PartialObjectMetadata, len(items))}
	gvk := f.gvk(asList)
	list.SetGroupVersionKind(gvk)
	for i, item := range items {
		partial, err := partialOf(f, item)
		if err != nil {
			return nil, err
		}
		list.Items[i] = *partial
	}
	return marshal(f, list, gvk)
}

// writeStatus writes a Status as the answer, in the form that was asked for.
func writeStatus(w http.ResponseWriter, r *http.Request, code int, status *metav1.Status) error {
	f, err := negotiate(r, false)
	if err != nil {
		f.media = typeJSON
	}
	status.TypeMeta = metav1.TypeMeta{Kind: statusGVK.Kind, APIVersion: statusGVK.Version}
	body, err := marshal(f, status, statusGVK)
	if err != nil {
		return err
	}
	return write(w, r, code, f, body)
}

func writeJSON(w http.ResponseWriter, code int, value any) error {
	return writeJSONAs(w, code, typeJSON, value)
}

func writeJSONAs(w http.ResponseWriter, code int, contentType string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(code)
	_, err = w.Write(append(body, '\n'))
	return err
}

// write sends the body: as YAML, indented or compressed where that was asked for.
func write(w http.ResponseWriter, r *http.Request, code int, f form, body []byte) error {
	out := newBody(w, r, code, f)
	defer out.free()
	out.buffer = append(out.buffer, body...)
	return out.close()
}
