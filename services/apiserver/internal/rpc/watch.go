package rpc

import (
	"context"
	"net/http"
	"strconv"

	"google.golang.org/grpc"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

var eventTypes = map[watch.EventType]apiv1.EventType{
	watch.Added:    apiv1.EventType_EVENT_TYPE_ADDED,
	watch.Modified: apiv1.EventType_EVENT_TYPE_MODIFIED,
	watch.Deleted:  apiv1.EventType_EVENT_TYPE_DELETED,
	watch.Bookmark: apiv1.EventType_EVENT_TYPE_BOOKMARK,
}

// Watch streams changes; those that became visible together travel together.
func (s *Service) Watch(r *apiv1.WatchRequest, stream grpc.ServerStreamingServer[apiv1.WatchResponse]) error {
	if s.log == nil {
		return s.watch(r, stream)
	}
	e := s.begin(stream.Context(), apiv1.ObjectService_Watch_FullMethodName, r)
	e.Started(http.StatusOK)
	err := s.watch(r, stream)
	code, failure := outcome(err)
	e.Completed(code, failure, nil)
	return err
}

func (s *Service) watch(r *apiv1.WatchRequest, stream grpc.ServerStreamingServer[apiv1.WatchResponse]) error {
	k, err := s.kind(r.GetType())
	if err != nil {
		return asStatus(err)
	}
	initial := r.GetSendInitialEvents()
	o := objects.WatchOptions{
		LabelSelector: r.GetLabelSelector(), FieldSelector: r.GetFieldSelector(), ResourceVersion: r.GetResourceVersion(),
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan, SendInitialEvents: &initial, Bookmarks: true,
	}
	ctx := stream.Context()
	width := 1
	if initial {
		width = fairness.ListWidth(s.count(r.GetType(), r.GetNamespace()))
	}
	seat, err := s.gate.Seat(ctx, width)
	if err != nil {
		return asStatus(err)
	}
	defer seat.Release()
	watcher, err := s.objects.Watch(ctx, objects.Target{Kind: k, Namespace: r.GetNamespace()}, o)
	if err != nil {
		return asStatus(err)
	}
	return asStatus(send(ctx, watcher, stream, &seat, r.GetMetadataOnly()))
}

// send holds the seat for as long as the present state is sent, not while it waits
// for changes.
func send(ctx context.Context, watcher *objects.Watcher, stream grpc.ServerStreamingServer[apiv1.WatchResponse], seat *fairness.Seat, metadataOnly bool) error {
	for {
		if !watcher.Pending() {
			seat.Release()
		}
		events, err := watcher.Next(ctx)
		if err != nil {
			return err
		}
		response := &apiv1.WatchResponse{Events: make([]*apiv1.WatchEvent, len(events))}
		for i, e := range events {
			response.Events[i] = newEvent(e, metadataOnly)
		}
		if err := stream.Send(response); err != nil {
			return err
		}
	}
}

func newEvent(e objects.Event, metadataOnly bool) *apiv1.WatchEvent {
	out := &apiv1.WatchEvent{
		Type: eventTypes[e.Type], ResourceVersion: strconv.FormatUint(e.Revision, 10), InitialEventsEnd: e.InitialEnd,
	}
	if e.Type != watch.Bookmark {
		out.Object = wrapped(e.Object, metadataOnly)
	}
	return out
}
