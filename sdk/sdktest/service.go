package sdktest

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
)

type service struct {
	apiv1.UnimplementedObjectServiceServer
	store *store
}

func secondsOf(n int64) time.Duration { return time.Duration(n) * time.Second }

// Refuse wraps a StatusError as the real server does; Cluster.Fail may return it.
func Refuse(err error) error {
	var se *apierrors.StatusError
	if !errors.As(err, &se) {
		return err
	}
	code := codes.Unknown
	switch se.ErrStatus.Code {
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		code = codes.InvalidArgument
	case http.StatusUnauthorized:
		code = codes.Unauthenticated
	case http.StatusForbidden:
		code = codes.PermissionDenied
	case http.StatusNotFound:
		code = codes.NotFound
	case http.StatusConflict:
		code = codes.Aborted
		if se.ErrStatus.Reason == metav1.StatusReasonAlreadyExists {
			code = codes.AlreadyExists
		}
	case http.StatusGone:
		code = codes.OutOfRange
	case http.StatusTooManyRequests:
		code = codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		code = codes.Unavailable
	}
	detail, eerr := sdk.Encode(&se.ErrStatus)
	if eerr != nil {
		return eerr
	}
	details := []*anypb.Any{detail}
	if at := (*refusedAt)(nil); errors.As(err, &at) {
		index, eerr := anypb.New(&apiv1.OperationRefused{Index: int32(at.index)})
		if eerr != nil {
			return eerr
		}
		details = append(details, index)
	}
	return grpcstatus.FromProto(&spb.Status{Code: int32(code), Message: se.ErrStatus.Message, Details: details}).Err()
}

func encoded(obj sdk.Object, err error) (*anypb.Any, error) {
	if err != nil {
		return nil, Refuse(err)
	}
	return sdk.Encode(obj)
}

// single runs one operation in a transaction of its own.
func (s *service) single(dryRun bool, f func(*transaction) (sdk.Object, error)) (*anypb.Any, error) {
	var obj sdk.Object
	err := s.store.do(dryRun, func(tx *transaction) (err error) { obj, err = f(tx); return err })
	return encoded(obj, err)
}

func (s *service) Get(_ context.Context, r *apiv1.GetRequest) (*apiv1.GetResponse, error) {
	a, err := s.single(true, func(tx *transaction) (sdk.Object, error) {
		obj, err := tx.get(keyFrom(r.GetKey()))
		return seen(obj, r.GetMetadataOnly()), err
	})
	return &apiv1.GetResponse{Object: a}, err
}

func (s *service) List(_ context.Context, r *apiv1.ListRequest) (*apiv1.ListResponse, error) {
	m, err := newMatcher(r.GetType(), r.GetNamespace(), r.GetLabelSelector(), r.GetFieldSelector())
	if err != nil {
		return nil, Refuse(err)
	}
	objects, revision := s.store.list(m)
	resp := &apiv1.ListResponse{ResourceVersion: strconv.FormatUint(revision, 10)}
	from, _ := strconv.Atoi(r.GetContinueToken())
	for i, obj := range objects[min(from, len(objects)):] {
		if r.GetLimit() > 0 && int64(i) == r.GetLimit() {
			resp.ContinueToken = strconv.Itoa(from + i)
			resp.RemainingItemCount = int64(len(objects) - from - i)
			break
		}
		a, err := sdk.Encode(seen(obj, r.GetMetadataOnly()))
		if err != nil {
			return nil, err
		}
		resp.Objects = append(resp.Objects, a)
	}
	return resp, nil
}

func (s *service) Create(_ context.Context, r *apiv1.CreateRequest) (*apiv1.CreateResponse, error) {
	a, err := s.single(r.GetDryRun(), func(tx *transaction) (sdk.Object, error) { return tx.create(r) })
	return &apiv1.CreateResponse{Object: a}, err
}

func (s *service) Update(_ context.Context, r *apiv1.UpdateRequest) (*apiv1.UpdateResponse, error) {
	a, err := s.single(r.GetDryRun(), func(tx *transaction) (sdk.Object, error) { return tx.update(r.GetObject()) })
	return &apiv1.UpdateResponse{Object: a}, err
}

func (s *service) UpdateStatus(_ context.Context, r *apiv1.UpdateStatusRequest) (*apiv1.UpdateStatusResponse, error) {
	a, err := s.single(r.GetDryRun(), func(tx *transaction) (sdk.Object, error) { return tx.updateStatus(r.GetObject()) })
	return &apiv1.UpdateStatusResponse{Object: a}, err
}

func (s *service) Patch(_ context.Context, r *apiv1.PatchRequest) (*apiv1.PatchResponse, error) {
	a, err := s.single(r.GetDryRun(), func(tx *transaction) (sdk.Object, error) { return tx.patch(r) })
	return &apiv1.PatchResponse{Object: a}, err
}

func (s *service) Delete(_ context.Context, r *apiv1.DeleteRequest) (*apiv1.DeleteResponse, error) {
	var gone bool
	a, err := s.single(r.GetDryRun(), func(tx *transaction) (obj sdk.Object, err error) { obj, gone, err = tx.delete(r); return obj, err })
	return &apiv1.DeleteResponse{Object: a, Gone: gone}, err
}

func (s *service) DeleteCollection(_ context.Context, r *apiv1.DeleteCollectionRequest) (*apiv1.DeleteCollectionResponse, error) {
	m, err := newMatcher(r.GetType(), r.GetNamespace(), r.GetLabelSelector(), r.GetFieldSelector())
	if err != nil {
		return nil, Refuse(err)
	}
	out := &apiv1.DeleteCollectionResponse{}
	var objects []sdk.Object
	err = s.store.do(r.GetDryRun(), func(tx *transaction) error {
		objects = tx.listLocked(m)
		out.ResourceVersion = strconv.FormatUint(tx.revision, 10)
		for _, obj := range objects {
			if _, _, err := tx.delete(&apiv1.DeleteRequest{GracePeriodSeconds: r.GracePeriodSeconds, PropagationPolicy: r.GetPropagationPolicy(),
				Key: &apiv1.ObjectKey{Type: r.GetType(), Namespace: obj.GetNamespace(), Name: obj.GetName()}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, Refuse(err)
	}
	out.Objects, err = encodeAll(objects)
	return out, err
}

func encodeAll(objects []sdk.Object) (out []*anypb.Any, err error) {
	for _, obj := range objects {
		a, err := sdk.Encode(obj)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

func (s *service) Watch(r *apiv1.WatchRequest, stream grpc.ServerStreamingServer[apiv1.WatchResponse]) error {
	m, err := newMatcher(r.GetType(), r.GetNamespace(), r.GetLabelSelector(), r.GetFieldSelector())
	if err != nil {
		return Refuse(err)
	}
	after, err := strconv.ParseUint(r.GetResourceVersion(), 10, 64)
	if r.GetSendInitialEvents() {
		after, err = s.initial(m, stream, r.GetMetadataOnly())
	}
	if err != nil {
		return err
	}
	for {
		changes, err := s.store.since(stream.Context(), after)
		if err != nil {
			return Refuse(err)
		}
		resp := &apiv1.WatchResponse{}
		for _, c := range changes {
			after = c.revision
			if ev, ok := eventOf(m, c, r.GetMetadataOnly()); ok {
				resp.Events = append(resp.Events, ev)
			}
		}
		if len(resp.Events) == 0 {
			continue
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

func (s *service) initial(m matcher, stream grpc.ServerStreamingServer[apiv1.WatchResponse], metadataOnly bool) (uint64, error) {
	objects, revision := s.store.list(m)
	resp := &apiv1.WatchResponse{}
	for _, obj := range objects {
		a, err := sdk.Encode(seen(obj, metadataOnly))
		if err != nil {
			return 0, err
		}
		resp.Events = append(resp.Events, &apiv1.WatchEvent{Type: apiv1.EventType_EVENT_TYPE_ADDED, Object: a, ResourceVersion: obj.GetResourceVersion()})
	}
	resp.Events = append(resp.Events, &apiv1.WatchEvent{Type: apiv1.EventType_EVENT_TYPE_BOOKMARK,
		ResourceVersion: strconv.FormatUint(revision, 10), InitialEventsEnd: true})
	return revision, stream.Send(resp)
}

// eventOf is the change as seen through the selectors.
func eventOf(m matcher, c change, metadataOnly bool) (*apiv1.WatchEvent, bool) {
	was, is := m.matches(c.key, c.old), m.matches(c.key, c.new)
	ev := &apiv1.WatchEvent{ResourceVersion: strconv.FormatUint(c.revision, 10)}
	obj := c.new
	switch {
	case is && was:
		ev.Type = apiv1.EventType_EVENT_TYPE_MODIFIED
	case is:
		ev.Type = apiv1.EventType_EVENT_TYPE_ADDED
	case was:
		ev.Type, obj = apiv1.EventType_EVENT_TYPE_DELETED, c.old
	default:
		return nil, false
	}
	a, err := sdk.Encode(seen(obj, metadataOnly))
	if err != nil {
		return nil, false
	}
	ev.Object = a
	return ev, true
}
