package rpc

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// Transact carries out all operations or none.
func (s *Service) Transact(ctx context.Context, r *apiv1.TransactRequest) (*apiv1.TransactResponse, error) {
	changes := make([]objects.Change, len(r.GetOperations()))
	for i, op := range r.GetOperations() {
		var err error
		if changes[i], err = s.change(op); err == nil && changes[i].DryRun {
			err = apierrors.NewBadRequest("dry_run is not allowed in a transaction")
		}
		if err != nil {
			return nil, asStatus(atOperation(i, err))
		}
	}
	outcomes, err := s.objects.Transact(ctx, changes)
	if err != nil {
		return nil, asStatus(err)
	}
	out := &apiv1.TransactResponse{}
	for _, o := range outcomes {
		out.Objects = append(out.Objects, wrap(o.Object))
	}
	return out, nil
}

func atOperation(i int, err error) error {
	return apierrors.NewBadRequest(fmt.Sprintf("operation %d: %v", i, err))
}

// change reads one operation.
func (s *Service) change(op *apiv1.Operation) (c objects.Change, err error) {
	switch r := op.GetRequest().(type) {
	case *apiv1.Operation_Create:
		c.DryRun = r.Create.GetDryRun()
		c.Raw = r.Create.GetObject().GetValue()
		c.Target, c.Create, err = s.object(r.Create.GetObject(), r.Create.GetKey(), r.Create.GetSubresource())
	case *apiv1.Operation_Update:
		c.DryRun = r.Update.GetDryRun()
		c.Raw = r.Update.GetObject().GetValue()
		c.Target, c.Update, err = s.object(r.Update.GetObject(), r.Update.GetKey(), r.Update.GetSubresource())
	case *apiv1.Operation_UpdateStatus:
		c.DryRun = r.UpdateStatus.GetDryRun()
		c.Raw = r.UpdateStatus.GetObject().GetValue()
		c.Target, c.Update, err = s.object(r.UpdateStatus.GetObject(), nil, statusSubresource)
	case *apiv1.Operation_Patch:
		var patch objects.Patch
		c.DryRun = r.Patch.GetDryRun()
		c.Target, patch, err = s.patch(r.Patch)
		c.Patch = &patch
	case *apiv1.Operation_Delete:
		o := deleteOptions(r.Delete)
		c.DryRun = r.Delete.GetDryRun()
		c.Target, err = s.target(r.Delete.GetKey(), "")
		c.Delete = &o
	default:
		return c, apierrors.NewBadRequest("the operation is empty")
	}
	return c, err
}
