package rest

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"golang.org/x/net/websocket"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// A watch without timeoutSeconds ends after this time, plus up to as much
// again, so that clients spread anew over the members.
const watchTimeout = 30 * time.Minute

func (h *Handler) watch(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	f, err := negotiate(r, true)
	if err == nil && f.as == asList {
		err = mismatch(f.as, "not a list", t.Kind.GVK) // nor is what an event holds
	}
	if err != nil {
		return err
	}
	o, timeout, err := watchOptions(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	stream := &watchStream{handler: h, request: r, target: t, form: f, w: w, control: http.NewResponseController(w)}
	watcher, err := h.objects.Watch(ctx, t, o)
	if err != nil && !apierrors.IsResourceExpired(err) {
		return err
	}
	run := func(ctx context.Context) error {
		if err != nil {
			return stream.fail(err)
		}
		return stream.run(ctx, watcher)
	}
	if isWebSocket(r) {
		stream.overSocket(ctx, run)
		return nil
	}
	if err := stream.begin(); err != nil {
		return err
	}
	return run(ctx)
}

func watchOptions(r *http.Request) (objects.WatchOptions, time.Duration, error) {
	q := r.URL.Query()
	o := objects.WatchOptions{
		LabelSelector: q.Get("labelSelector"), FieldSelector: q.Get("fieldSelector"),
		ResourceVersion:      q.Get("resourceVersion"),
		ResourceVersionMatch: metav1.ResourceVersionMatch(q.Get("resourceVersionMatch")),
	}
	o.SendInitialEvents, o.Bookmarks = boolean(q, "sendInitialEvents"), isSet(q, "allowWatchBookmarks")
	seconds, err := integer(q, "timeoutSeconds")
	if err != nil {
		return o, 0, err
	}
	if _, err := integer(q, "limit"); err != nil {
		return o, 0, err
	}
	if seconds != nil && *seconds > 0 {
		return o, time.Duration(*seconds) * time.Second, nil
	}
	return o, watchTimeout + rand.N(watchTimeout), nil
}

// watchStream writes the events of one watch.
type watchStream struct {
	handler *Handler
	request *http.Request
	target  objects.Target
	form    form
	w       http.ResponseWriter
	control *http.ResponseController
	socket  *websocket.Conn // nil unless it is a WebSocket
	columns bool            // already sent
}

func (s *watchStream) begin() error {
	contentType := typeJSON
	if s.form.media == typeProtobuf {
		contentType = typeProtobuf + ";stream=watch"
	}
	s.w.Header().Set("Content-Type", contentType)
	s.w.Header().Set("Cache-Control", "no-cache, private")
	s.w.WriteHeader(http.StatusOK)
	return s.control.Flush()
}

func (s *watchStream) run(ctx context.Context, watcher *objects.Watcher) error {
	for {
		if !watcher.Pending() {
			leave(s.w)
		}
		events, err := watcher.Next(ctx)
		switch {
		case ctx.Err() != nil:
			return nil // The client left, or its time is over.
		case err != nil:
			return s.fail(err)
		}
		for _, e := range events {
			if err := s.send(e); err != nil {
				return err
			}
		}
		if err := s.flush(); err != nil {
			return err
		}
	}
}

func (s *watchStream) flush() error {
	if s.socket != nil {
		return nil // each message was sent
	}
	return s.control.Flush()
}

func (s *watchStream) send(e objects.Event) error {
	if e.Type == watch.Bookmark {
		return s.sendBookmark(e)
	}
	body, err := s.body(e.Object)
	if err != nil {
		return err
	}
	return s.frame(string(e.Type), body)
}

func (s *watchStream) body(o objects.Stored) ([]byte, error) {
	if s.form.as != asTable {
		return s.handler.render(s.form, s.target, o)
	}
	table, err := s.handler.newTable(s.form, s.target, []objects.Stored{o}, metav1.ListMeta{ResourceVersion: o.ResourceVersion()}, !s.columns)
	if err != nil {
		return nil, err
	}
	s.columns = true
	return json.Marshal(table)
}

func (s *watchStream) sendBookmark(e objects.Event) error {
	obj := s.target.Kind.New()
	if e.InitialEnd {
		obj.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	value, err := obj.Marshal()
	if err != nil {
		return fmt.Errorf("encode bookmark: %w", err)
	}
	body, err := s.body(objects.Unstored(s.target.Kind, value, e.Revision))
	if err != nil {
		return err
	}
	return s.frame(string(watch.Bookmark), body)
}

// fail sends the error as the last event.
func (s *watchStream) fail(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil
	}
	status := s.handler.statusOf(s.request, err)
	body, err := marshal(s.form, &status, statusGVK)
	if err != nil {
		return err
	}
	if err := s.frame(string(watch.Error), body); err != nil {
		return err
	}
	return s.flush()
}

// frame writes one event: a line of JSON, or protobuf after its length.
func (s *watchStream) frame(kind string, body []byte) error {
	if s.form.media != typeProtobuf {
		line := fmt.Appendf(make([]byte, 0, len(body)+40), "{\"type\":%q,\"object\":%s}\n", kind, body)
		if s.socket != nil {
			return s.message(line)
		}
		_, err := s.w.Write(line)
		return err
	}
	event := metav1.WatchEvent{Type: kind, Object: runtime.RawExtension{Raw: body}}
	raw, err := event.Marshal()
	if err != nil {
		return fmt.Errorf("encode watch event: %w", err)
	}
	if s.socket != nil {
		return s.message(raw)
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, len(raw)+4), uint32(len(raw)))
	_, err = s.w.Write(append(frame, raw...))
	return err
}
