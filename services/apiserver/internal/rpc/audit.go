package rpc

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/audit"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// WriteDown has what is asked for written to a log. It must be called before the
// service serves, if at all.
func (s *Service) WriteDown(log *audit.Log) { s.log = log }

// Audited has calls on objects written down. Those that stream see to it themselves.
func (s *Service) Audited(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	if s.log == nil || !strings.HasPrefix(info.FullMethod, objectMethods) {
		return handler(ctx, request)
	}
	var entries []*audit.Entry
	for _, asked := range askedBy(request) {
		entries = append(entries, s.begin(ctx, info.FullMethod, asked))
	}
	response, err := handler(ctx, request)
	code, failure := outcome(err)
	var answer *anypb.Any
	if r, ok := response.(interface{ GetObject() *anypb.Any }); ok && err == nil {
		answer = r.GetObject()
	}
	for _, e := range entries {
		s.complete(e, code, failure, answer)
	}
	return response, err
}

// exchanged returns an answer function that has the calls written down, too.
func (s *Service) exchanged(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) func(...*apiv1.Answer) {
	entries := make(map[uint64]*audit.Entry, len(calls))
	for _, c := range calls {
		asked := any(c.GetGet())
		if op := c.GetOperation(); op != nil {
			asked = requestIn(op)
		}
		entries[c.GetId()] = s.begin(ctx, apiv1.ObjectService_Exchange_FullMethodName, asked)
	}
	return func(answers ...*apiv1.Answer) {
		for _, a := range answers {
			code, failure := http.StatusOK, (*metav1.Status)(nil)
			if f := a.GetFailure(); f != nil {
				code, failure = failureOf(f.GetMessage(), f.GetDetails())
			}
			s.complete(entries[a.GetId()], code, failure, a.GetObject())
		}
		answer(answers...)
	}
}

// askedBy returns the requests that a message holds: itself, but for a transaction.
func askedBy(request any) []any {
	r, ok := request.(*apiv1.TransactRequest)
	if !ok {
		return []any{request}
	}
	out := make([]any, 0, len(r.GetOperations()))
	for _, op := range r.GetOperations() {
		out = append(out, requestIn(op))
	}
	return out
}

func requestIn(op *apiv1.Operation) any {
	switch r := op.GetRequest().(type) {
	case *apiv1.Operation_Create:
		return r.Create
	case *apiv1.Operation_Update:
		return r.Update
	case *apiv1.Operation_UpdateStatus:
		return r.UpdateStatus
	case *apiv1.Operation_Patch:
		return r.Patch
	case *apiv1.Operation_Delete:
		return r.Delete
	}
	return nil
}

// begin writes down that the request has come.
func (s *Service) begin(ctx context.Context, method string, request any) *audit.Entry {
	call := audit.Call{Request: s.asked(request), URI: method}
	if k, ok := s.objects.Kinds().ByStoreResource(call.Resource.String()); ok {
		call.Version = k.GVK.Version
	}
	call.User, _ = access.UserFrom(ctx)
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		call.UserAgent = strings.Join(md.Get("user-agent"), " ")
	}
	if p, ok := peer.FromContext(ctx); ok {
		if host, _, err := net.SplitHostPort(p.Addr.String()); err == nil {
			call.SourceIPs = []string{host}
		}
	}
	e := s.log.Begin(call)
	if e.WantsRequest() {
		switch r := request.(type) {
		case *apiv1.PatchRequest:
			e.Request(r.GetPatch())
		case interface{ GetObject() *anypb.Any }:
			e.Request(s.asJSON(r.GetObject()))
		}
	}
	return e
}

// asked says what a request is for.
func (s *Service) asked(request any) auth.Request {
	var out auth.Request
	var kind *registry.Kind
	switch r := request.(type) {
	case *apiv1.GetRequest:
		out.Verb, out.Subresource = "get", r.GetSubresource()
	case *apiv1.ListRequest:
		out.Verb, out.Namespace = "list", r.GetNamespace()
		kind, _ = s.kind(r.GetType())
	case *apiv1.WatchRequest:
		out.Verb, out.Namespace = "watch", r.GetNamespace()
		kind, _ = s.kind(r.GetType())
	case *apiv1.DeleteCollectionRequest:
		out.Verb, out.Namespace = "deletecollection", r.GetNamespace()
		kind, _ = s.kind(r.GetType())
	case *apiv1.CreateRequest:
		out.Verb, out.Subresource = "create", r.GetSubresource()
	case *apiv1.UpdateRequest:
		out.Verb, out.Subresource = "update", r.GetSubresource()
	case *apiv1.UpdateStatusRequest:
		out.Verb, out.Subresource = "update", statusSubresource
	case *apiv1.PatchRequest:
		out.Verb, out.Subresource = "patch", r.GetSubresource()
	case *apiv1.DeleteRequest:
		out.Verb = "delete"
	}
	if r, ok := request.(interface{ GetKey() *apiv1.ObjectKey }); ok && r.GetKey() != nil {
		kind, _ = s.kind(r.GetKey().GetType())
		out.Namespace, out.Name = r.GetKey().GetNamespace(), r.GetKey().GetName()
	} else if r, ok := request.(interface{ GetObject() *anypb.Any }); ok && r.GetObject() != nil {
		kind, _ = s.kind(strings.TrimPrefix(r.GetObject().GetTypeUrl(), typePrefix))
		var obj metav1.PartialObjectMetadata // Every object begins with it.
		if obj.Unmarshal(r.GetObject().GetValue()) == nil {
			out.Namespace, out.Name = obj.Namespace, obj.Name
		}
	}
	if kind != nil {
		out.Resource = kind.GroupResource()
	}
	return out
}

// complete writes down what became of the request.
func (s *Service) complete(e *audit.Entry, code int, failure *metav1.Status, answer *anypb.Any) {
	var object []byte
	if e.WantsResponse() && failure == nil {
		object = s.asJSON(answer)
	}
	e.Completed(code, failure, object)
}

// asJSON returns an object in JSON; nil is one of a kind that is not known.
func (s *Service) asJSON(raw *anypb.Any) []byte {
	k, err := s.kind(strings.TrimPrefix(raw.GetTypeUrl(), typePrefix))
	if err != nil {
		return nil
	}
	obj := k.New()
	if obj.Unmarshal(raw.GetValue()) != nil {
		return nil
	}
	obj.GetObjectKind().SetGroupVersionKind(k.GVK)
	out, err := json.Marshal(obj)
	if err != nil {
		return nil
	}
	return out
}

// outcome returns the code and the Status of an error as REST would answer it.
func outcome(err error) (int, *metav1.Status) {
	if err == nil {
		return http.StatusOK, nil
	}
	p := status.Convert(err).Proto()
	return failureOf(p.GetMessage(), p.GetDetails())
}

func failureOf(message string, details []*anypb.Any) (int, *metav1.Status) {
	for _, d := range details {
		var s metav1.Status
		if d.GetTypeUrl() == statusType && s.Unmarshal(d.GetValue()) == nil && s.Code != 0 {
			return int(s.Code), &s
		}
	}
	return http.StatusInternalServerError, &metav1.Status{Status: metav1.StatusFailure, Message: message}
}
