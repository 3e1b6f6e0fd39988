package rest

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"google.golang.org/protobuf/encoding/protowire"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// writeList sends a list object by object: it is never in memory as a whole, so
// that a client that reads slowly, or not at all, holds some hundred kilobytes.
func (h *Handler) writeList(w http.ResponseWriter, r *http.Request, f form, t objects.Target, items []objects.Stored, meta metav1.ListMeta) error {
	out := newBody(w, r, http.StatusOK, f)
	defer out.free()
	var err error
	if f.media == typeProtobuf {
		err = protobufList(out, t, items, meta)
	} else {
		err = jsonList(out, t, items, meta)
	}
	if err == nil {
		err = out.close()
	}
	if err != nil && out.begun {
		h.logger.Debug("list broke off", "path", r.URL.Path, "cause", err)
		panic(http.ErrAbortHandler) // The client must not take half a list for a whole one.
	}
	return err
}

func jsonList(out *body, t objects.Target, items []objects.Stored, meta metav1.ListMeta) error {
	head, err := json.Marshal(meta)
	if err != nil {
		return fmt.Errorf("encode list: %w", err)
	}
	apiVersion, kind := listGVK(t).ToAPIVersionAndKind()
	out.buffer = fmt.Appendf(out.buffer, `{"kind":%q,"apiVersion":%q,"metadata":%s,"items":[`, kind, apiVersion, head)
	for i, item := range items {
		if i > 0 {
			out.buffer = append(out.buffer, ',')
		}
		if out.buffer, err = item.AppendItem(out.buffer); err != nil {
			return err
		}
		if err := out.next(); err != nil {
			return err
		}
	}
	out.buffer = append(out.buffer, "]}"...)
	return nil
}

// protobufList joins encoded objects: in every list metadata is field 1 and an
// item is field 2.
func protobufList(out *body, t objects.Target, items []objects.Stored, meta metav1.ListMeta) error {
	head, err := meta.Marshal()
	if err != nil {
		return fmt.Errorf("encode list: %w", err)
	}
	sizes, total := make([]int, len(items)), 1+protowire.SizeBytes(len(head))
	converted := make([][]byte, 0) // of items whose size is not known before
	for i, item := range items {
		size, ok := item.Sized()
		if !ok {
			converted = append(converted, item.Protobuf())
			size = len(converted[i])
		}
		sizes[i] = size
		total += 1 + protowire.SizeBytes(size)
	}
	if out.buffer, err = appendEnvelope(out.buffer, t, total); err != nil {
		return err
	}
	out.buffer = protowire.AppendTag(out.buffer, 1, protowire.BytesType)
	out.buffer = protowire.AppendBytes(out.buffer, head)
	for i, item := range items {
		out.buffer = protowire.AppendTag(out.buffer, 2, protowire.BytesType)
		out.buffer = protowire.AppendVarint(out.buffer, uint64(sizes[i]))
		if before := len(out.buffer); len(converted) > 0 {
			out.buffer = append(out.buffer, converted[i]...)
		} else if out.buffer = item.AppendProtobuf(out.buffer); len(out.buffer)-before != sizes[i] {
			return errors.New("encode list: an object has another size than it said")
		}
		if err := out.next(); err != nil {
			return err
		}
	}
	return nil
}

// appendEnvelope begins Kubernetes' envelope around a list of a size, which ends
// with the list.
func appendEnvelope(to []byte, t objects.Target, size int) ([]byte, error) {
	apiVersion, kind := listGVK(t).ToAPIVersionAndKind()
	types, err := (&runtime.TypeMeta{APIVersion: apiVersion, Kind: kind}).Marshal()
	if err != nil {
		return to, fmt.Errorf("wrap list: %w", err)
	}
	to = append(to, "k8s\x00"...)
	to = protowire.AppendTag(to, 1, protowire.BytesType)
	to = protowire.AppendBytes(to, types)
	to = protowire.AppendTag(to, 2, protowire.BytesType)
	return protowire.AppendVarint(to, uint64(size)), nil
}
