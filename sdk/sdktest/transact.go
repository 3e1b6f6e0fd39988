package sdktest

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
)

func (s *service) Transact(_ context.Context, r *apiv1.TransactRequest) (*apiv1.TransactResponse, error) {
	if len(r.GetOperations()) > sdk.MaxOperations {
		return nil, Refuse(apierrors.NewBadRequest("too many operations"))
	}
	var objects []sdk.Object
	resp := &apiv1.TransactResponse{}
	err := s.store.do(r.GetDryRun(), func(tx *transaction) error {
		for i, op := range r.GetOperations() {
			obj, change, err := tx.operation(op)
			if err != nil && len(r.GetOperations()) > 1 {
				err = at(err, i)
			}
			if err != nil {
				return err
			}
			objects, resp.Changes = append(objects, obj), append(resp.Changes, change)
		}
		return nil
	})
	if err != nil {
		return nil, Refuse(err)
	}
	resp.Objects, err = encodeAll(objects)
	return resp, err
}

// operation does one and says what it changed.
func (tx *transaction) operation(op *apiv1.Operation) (obj sdk.Object, change apiv1.Change, err error) {
	change = apiv1.Change_CHANGE_UPDATED
	switch r := op.GetRequest().(type) {
	case *apiv1.Operation_Create:
		if obj, err = tx.create(r.Create); r.Create.GetSubresource() == "" {
			change = apiv1.Change_CHANGE_CREATED
		}
	case *apiv1.Operation_Update:
		obj, err = tx.update(r.Update.GetObject())
	case *apiv1.Operation_UpdateStatus:
		obj, err = tx.updateStatus(r.UpdateStatus.GetObject())
	case *apiv1.Operation_Patch:
		old, missing := tx.get(keyFrom(r.Patch.GetKey()))
		if obj, err = tx.patch(r.Patch); missing != nil {
			change = apiv1.Change_CHANGE_CREATED
		} else if reflect.DeepEqual(old, obj) {
			change = apiv1.Change_CHANGE_NONE
		}
	case *apiv1.Operation_Delete:
		var gone bool
		if obj, gone, err = tx.delete(r.Delete); gone {
			change = apiv1.Change_CHANGE_DELETED
		}
	default:
		err = apierrors.NewBadRequest("an operation without a request")
	}
	return obj, change, err
}

// refusedAt is the error of an operation of several.
type refusedAt struct {
	*apierrors.StatusError
	index int
}

func (e *refusedAt) Unwrap() error { return e.StatusError }

// at says which operation was refused.
func at(err error, i int) error {
	var se *apierrors.StatusError
	if !errors.As(err, &se) {
		return err
	}
	out := *se
	out.ErrStatus.Message = fmt.Sprintf("operation %d: %s", i, se.ErrStatus.Message)
	return &refusedAt{StatusError: &out, index: i}
}
