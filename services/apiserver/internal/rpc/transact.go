package rpc

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
)

// Transact carries out all operations or none.
func (s *Service) Transact(ctx context.Context, r *apiv1.TransactRequest) (*apiv1.TransactResponse, error) {
	changes := make([]objects.Change, len(r.GetOperations()))
	out := &apiv1.TransactResponse{}
	warn := func(text string) { out.Warnings = append(out.Warnings, text) }
	for i, op := range r.GetOperations() {
		var err error
		if changes[i], err = s.change(op, warn); err == nil && changes[i].DryRun {
			err = apierrors.NewBadRequest("dry_run of one operation is not allowed in a transaction; set that of the request")
		}
		if err != nil {
			return nil, asStatus(objects.AtOperation(i, len(changes), err))
		}
	}
	ctx = objects.WithManager(objects.WithWarnings(ctx, warn), nameOf(ctx))
	outcomes, err := s.objects.Transact(ctx, changes, r.GetDryRun())
	if err != nil {
		return nil, asStatus(err)
	}
	for _, o := range outcomes {
		out.Objects = append(out.Objects, wrap(o.Object))
		out.Changes = append(out.Changes, effects[o.Effect])
	}
	return out, nil
}

var effects = map[objects.Effect]apiv1.Change{
	objects.Unchanged: apiv1.Change_CHANGE_NONE,
	objects.Created:   apiv1.Change_CHANGE_CREATED,
	objects.Updated:   apiv1.Change_CHANGE_UPDATED,
	objects.Deleted:   apiv1.Change_CHANGE_DELETED,
}

// change reads one operation; warn is told what it does not mind, nil drops it.
func (s *Service) change(op *apiv1.Operation, warn func(string)) (c objects.Change, err error) {
	switch r := op.GetRequest().(type) {
	case *apiv1.Operation_Create:
		c.DryRun, c.Manager = r.Create.GetDryRun(), r.Create.GetFieldManager()
		c.Raw = r.Create.GetObject().GetValue()
		c.Target, c.Create, err = s.object(r.Create.GetObject(), r.Create.GetKey(), r.Create.GetSubresource())
	case *apiv1.Operation_Update:
		c.DryRun, c.Manager = r.Update.GetDryRun(), r.Update.GetFieldManager()
		c.Raw = r.Update.GetObject().GetValue()
		c.Target, c.Update, err = s.object(r.Update.GetObject(), r.Update.GetKey(), r.Update.GetSubresource())
	case *apiv1.Operation_UpdateStatus:
		c.DryRun, c.Manager = r.UpdateStatus.GetDryRun(), r.UpdateStatus.GetFieldManager()
		c.Raw = r.UpdateStatus.GetObject().GetValue()
		c.Target, c.Update, err = s.object(r.UpdateStatus.GetObject(), nil, statusSubresource)
	case *apiv1.Operation_Patch:
		var patch objects.Patch
		c.DryRun, c.Manager = r.Patch.GetDryRun(), r.Patch.GetFieldManager()
		c.Target, patch, err = s.patch(r.Patch, warn)
		c.Patch = &patch
	case *apiv1.Operation_Delete:
		o := deleteOptions(r.Delete)
		c.DryRun = r.Delete.GetDryRun()
		c.Target, err = s.target(r.Delete.GetKey(), "")
		c.Delete = &o
	default:
		return c, apierrors.NewBadRequest("the operation is empty")
	}
	if err == nil && c.Manager != "" {
		err = checkManager(c.Manager)
	}
	return c, err
}
