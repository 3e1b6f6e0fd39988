package rpc

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// Delete removes an object or begins its graceful end.
func (s *Service) Delete(ctx context.Context, r *apiv1.DeleteRequest) (*apiv1.DeleteResponse, error) {
	t, err := s.target(r.GetKey(), "")
	if err != nil {
		return nil, asStatus(err)
	}
	outcome, err := s.objects.Delete(ctx, t, deleteOptions(r))
	if err != nil {
		return nil, asStatus(err)
	}
	return &apiv1.DeleteResponse{Object: wrap(outcome.Object), Gone: outcome.Gone}, nil
}

// DeleteCollection deletes the objects that are selected.
func (s *Service) DeleteCollection(ctx context.Context, r *apiv1.DeleteCollectionRequest) (*apiv1.DeleteCollectionResponse, error) {
	k, err := s.kind(r.GetType())
	if err != nil {
		return nil, asStatus(err)
	}
	page, err := s.objects.DeleteCollection(ctx, objects.Target{Kind: k, Namespace: r.GetNamespace()},
		objects.ListOptions{LabelSelector: r.GetLabelSelector(), FieldSelector: r.GetFieldSelector()}, deletionOptions(r, r.GracePeriodSeconds))
	if err != nil {
		return nil, asStatus(err)
	}
	return &apiv1.DeleteCollectionResponse{Objects: wrapAll(page.Items, false), ResourceVersion: fmt.Sprint(page.Revision)}, nil
}

func deleteOptions(r *apiv1.DeleteRequest) metav1.DeleteOptions {
	o := deletionOptions(r, r.GracePeriodSeconds)
	if r.GetUid() != "" || r.GetResourceVersion() != "" {
		o.Preconditions = &metav1.Preconditions{}
	}
	if uid := types.UID(r.GetUid()); uid != "" {
		o.Preconditions.UID = &uid
	}
	if version := r.GetResourceVersion(); version != "" {
		o.Preconditions.ResourceVersion = &version
	}
	return o
}

// deletion is what the requests to delete have in common.
type deletion interface {
	GetPropagationPolicy() string
	GetDryRun() bool
}

func deletionOptions(r deletion, grace *int64) metav1.DeleteOptions {
	o := metav1.DeleteOptions{GracePeriodSeconds: grace}
	if policy := metav1.DeletionPropagation(r.GetPropagationPolicy()); policy != "" {
		o.PropagationPolicy = &policy
	}
	if r.GetDryRun() {
		o.DryRun = []string{metav1.DryRunAll}
	}
	return o
}
