package objects

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Patched is Patch, and tells whether it made the object: server-side apply does where
// there is none.
func (s *Service) Patched(ctx context.Context, t Target, patch Patch, dryRun bool) (Stored, bool, error) {
	st, err := s.patchStep(ctx, t, patch)
	if err != nil {
		return Stored{}, false, err
	}
	outcomes, err := s.commit(ctx, dryRun, st)
	if err != nil {
		return Stored{}, false, err
	}
	stored, err := through(t, outcomes[0].Object)
	return stored, outcomes[0].Effect == Created, err
}

func (s *Service) applyStep(ctx context.Context, t Target, patch Patch) (step, error) {
	uid, manager := uuid.NewUUID(), managerOf(ctx)
	apply := func(live registry.Object) (registry.Object, error) {
		configuration := &unstructured.Unstructured{Object: map[string]any{}}
		if err := utilyaml.Unmarshal(patch.Data, &configuration.Object); err != nil {
			return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: %v", err))
		}
		obj, err := s.fields.Apply(t.Kind, t.Subresource, live, configuration, manager, patch.Force)
		if err != nil {
			return nil, unnamed(err)
		}
		return obj, patch.checkYAML()
	}
	return seenAs(t.Kind, func(p *plan) (Outcome, error) {
		if _, exists := p.get(t.key()); !exists && t.Subresource == "" {
			return s.applyNew(ctx, p, t, uid, apply)
		}
		return s.planUpdate(ctx, p, t.stored(), change{verb: "patch", seen: t.Kind, managed: true, make: func(old registry.Object) (registry.Object, error) {
			obj, err := apply(old)
			if err != nil {
				return nil, err
			}
			if _, err = matchURL(Target{Kind: t.Kind, Namespace: t.Namespace, Name: t.Name}, obj); err != nil || t.throughView() {
				return obj, err
			}
			return obj, t.checkChanged(obj, old)
		}})
	}), nil
}

// checkYAML looks for fields that are given twice.
func (p Patch) checkYAML() error {
	if p.Validation == codec.Ignore {
		return nil
	}
	err := utilyaml.UnmarshalStrict(p.Data, &map[string]any{})
	switch {
	case err == nil:
		return nil
	case p.Validation == codec.Strict:
		return apierrors.NewBadRequest(fmt.Sprintf("error strict decoding YAML: %v", err))
	}
	p.Warn(err.Error())
	return nil
}

// applyNew plans the creation of an object that was applied.
func (s *Service) applyNew(ctx context.Context, p *plan, t Target, uid types.UID, apply func(registry.Object) (registry.Object, error)) (Outcome, error) {
	if err := s.authorize(ctx, "create", t, nil); err != nil {
		return Outcome{}, err
	}
	obj, err := apply(nil)
	if err != nil {
		return Outcome{}, err
	}
	switch {
	case obj.GetUID() != "":
		return Outcome{}, conflict(t, fmt.Errorf("uid mismatch: the provided object specified uid %s, and no existing object was found", obj.GetUID()))
	case obj.GetName() == "":
		return Outcome{}, apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s based on URL) was undeterminable: name must be provided", t.Name))
	}
	if t, err = matchURL(t, obj); err != nil {
		return Outcome{}, err
	}
	if err := t.checkNew(obj); err != nil {
		return Outcome{}, err
	}
	obj.SetResourceVersion("")
	t = t.stored()
	prepareNew(t.Kind, obj, uid, p.now)
	addFinalizers(t.Kind, obj)
	if err := s.authorizeChange(ctx, "create", t, nil, obj); err != nil {
		return Outcome{}, err
	}
	return s.planCreate(ctx, p, t, obj)
}
