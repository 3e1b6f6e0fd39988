// Package rpc is the gRPC door to the objects.
package rpc

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/anypb"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/audit"
	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Service implements ObjectService.
type Service struct {
	apiv1.UnimplementedObjectServiceServer

	objects *objects.Service
	gate    *fairness.Gate
	life    context.Context // of streams that calls are exchanged on
	stop    context.CancelFunc
	log     *audit.Log // nil is none
}

// New returns a Service over the objects, whose callers take seats at the gate.
func New(o *objects.Service, gate *fairness.Gate) *Service {
	life, stop := context.WithCancel(context.Background())
	return &Service{objects: o, gate: gate, life: life, stop: stop}
}

func (s *Service) kind(name string) (*registry.Kind, error) {
	if k, ok := s.objects.Kinds().ByType(name); ok {
		return k, nil
	}
	return nil, apierrors.NewBadRequest(fmt.Sprintf("objects of type %q are not served", name))
}

func (s *Service) target(key *apiv1.ObjectKey, subresource string) (objects.Target, error) {
	k, err := s.kind(key.GetType())
	if err != nil {
		return objects.Target{}, err
	}
	switch {
	case key.GetName() == "":
		return objects.Target{}, apierrors.NewBadRequest("key.name is empty")
	case !utf8.ValidString(key.GetName()) || !utf8.ValidString(key.GetNamespace()):
		return objects.Target{}, apierrors.NewBadRequest("key is not in UTF-8") // a stream's messages are not checked
	}
	if sub, ok := k.Subresource(subresource); subresource != "" && (!ok || sub.Stream) {
		return objects.Target{}, apierrors.NewBadRequest(fmt.Sprintf("%s have no subresource %q", k.Resource, subresource))
	}
	return objects.Target{Kind: k, Namespace: key.GetNamespace(), Name: key.GetName(), Subresource: subresource}, nil
}

func wrap(o objects.Stored) *anypb.Any {
	return &anypb.Any{TypeUrl: typePrefix + o.Type, Value: o.Protobuf()}
}

// object reads an object, and the target it names itself where key is nil.
func (s *Service) object(raw *anypb.Any, key *apiv1.ObjectKey, subresource string) (objects.Target, registry.Object, error) {
	name := strings.TrimPrefix(raw.GetTypeUrl(), typePrefix)
	var t objects.Target
	var err error
	if key != nil {
		t, err = s.target(key, subresource)
	} else {
		t.Subresource = subresource
		t.Kind, err = s.kind(name)
	}
	if err != nil {
		return t, nil, err
	}
	if sub, ok := t.Kind.Subresource(subresource); name != t.Kind.Type && (!ok || sub.NewObject == nil) {
		return t, nil, apierrors.NewBadRequest(fmt.Sprintf("the object is a %s, not a %s", name, t.Kind.Type))
	}
	obj, err := t.Decode(raw.GetValue())
	if err != nil {
		return t, nil, err
	}
	if key == nil {
		t.Namespace, t.Name = obj.GetNamespace(), obj.GetName()
	}
	return t, obj, nil
}

// Get returns one object.
func (s *Service) Get(ctx context.Context, r *apiv1.GetRequest) (*apiv1.GetResponse, error) {
	t, err := s.target(r.GetKey(), r.GetSubresource())
	if err != nil {
		return nil, asStatus(err)
	}
	o, err := s.objects.Get(ctx, t, "")
	if err != nil {
		return nil, asStatus(err)
	}
	return &apiv1.GetResponse{Object: wrapped(o, r.GetMetadataOnly())}, nil
}

// List returns a page of objects.
func (s *Service) List(ctx context.Context, r *apiv1.ListRequest) (*apiv1.ListResponse, error) {
	k, err := s.kind(r.GetType())
	if err != nil {
		return nil, asStatus(err)
	}
	page, err := s.objects.List(ctx, objects.Target{Kind: k, Namespace: r.GetNamespace()}, objects.ListOptions{
		LabelSelector: r.GetLabelSelector(), FieldSelector: r.GetFieldSelector(), Limit: r.GetLimit(), Continue: r.GetContinueToken(),
		ResourceVersion: r.GetResourceVersion(), ResourceVersionMatch: metav1.ResourceVersionMatch(r.GetResourceVersionMatch()),
	})
	if err != nil {
		return nil, asStatus(err)
	}
	out := &apiv1.ListResponse{ResourceVersion: fmt.Sprint(page.Revision), ContinueToken: page.Continue, Objects: wrapAll(page.Items, r.GetMetadataOnly())}
	if page.Remaining != nil {
		out.RemainingItemCount = *page.Remaining
	}
	return out, nil
}

// Create stores a new object, or acts through a subresource.
func (s *Service) Create(ctx context.Context, r *apiv1.CreateRequest) (*apiv1.CreateResponse, error) {
	t, obj, err := s.object(r.GetObject(), r.GetKey(), r.GetSubresource())
	if err != nil {
		return nil, asStatus(err)
	}
	if ctx, err = writing(ctx, r.GetFieldManager()); err != nil {
		return nil, asStatus(err)
	}
	o, err := s.objects.Create(ctx, t, obj, r.GetDryRun())
	if err != nil {
		return nil, asStatus(err)
	}
	return &apiv1.CreateResponse{Object: wrap(o)}, nil
}

// Update replaces an object.
func (s *Service) Update(ctx context.Context, r *apiv1.UpdateRequest) (*apiv1.UpdateResponse, error) {
	t, obj, err := s.object(r.GetObject(), r.GetKey(), r.GetSubresource())
	if err != nil {
		return nil, asStatus(err)
	}
	if ctx, err = writing(ctx, r.GetFieldManager()); err != nil {
		return nil, asStatus(err)
	}
	o, err := s.objects.Update(ctx, t, obj, r.GetDryRun())
	if err != nil {
		return nil, asStatus(err)
	}
	return &apiv1.UpdateResponse{Object: wrap(o)}, nil
}

// UpdateStatus replaces an object's status.
func (s *Service) UpdateStatus(ctx context.Context, r *apiv1.UpdateStatusRequest) (*apiv1.UpdateStatusResponse, error) {
	t, obj, err := s.object(r.GetObject(), nil, statusSubresource)
	if err != nil {
		return nil, asStatus(err)
	}
	if ctx, err = writing(ctx, r.GetFieldManager()); err != nil {
		return nil, asStatus(err)
	}
	o, err := s.objects.Update(ctx, t, obj, r.GetDryRun())
	if err != nil {
		return nil, asStatus(err)
	}
	return &apiv1.UpdateStatusResponse{Object: wrap(o)}, nil
}

const statusSubresource = "status"
