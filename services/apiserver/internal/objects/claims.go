package objects

import (
	"errors"
	"math/rand/v2"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

func claimKey(c registry.Claim) state.Key {
	return state.Key{Resource: c.Table, Name: c.Value}
}

// owner names the object that holds claims; a claim's entry has it as its value.
func owner(t Target) string { return t.Kind.StoreResource() + "/" + t.Namespace + "/" + t.Name }

// holder returns who holds c in the plan's view and by the plan itself.
func (p *plan) holder(c registry.Claim) string {
	if who, ok := p.claims[c]; ok {
		return who
	}
	if e, ok := p.get(claimKey(c)); ok {
		return string(e.Value())
	}
	return ""
}

// allocate lets the kind choose the values that the user left open.
func (p *plan) allocate(t Target, obj, old registry.Object) error {
	if t.Kind.Allocate == nil {
		return nil
	}
	me := owner(t)
	taken := func(c registry.Claim) bool {
		who := p.holder(c)
		return who != "" && who != me
	}
	if err := t.Kind.Allocate(obj, old, taken, rand.IntN); err != nil {
		return invalid(t.Kind, obj.GetName(), field.ErrorList{err})
	}
	return nil
}

// claim takes what obj claims and old did not, and lets go of what only old
// claimed. Either may be nil.
func (p *plan) claim(t Target, obj, old registry.Object) error {
	if t.Kind.Claims == nil {
		return nil
	}
	before := claimSet(t.Kind, old)
	after := claimSet(t.Kind, obj)
	me := owner(t)
	for _, c := range claimsOf(t.Kind, obj) {
		if before[c] && p.holder(c) == me {
			continue
		}
		if who := p.holder(c); who != "" && who != me {
			return claimTaken(t.Kind, obj, c, who)
		}
		if err := p.takeClaim(c, me); err != nil {
			return err
		}
	}
	for _, c := range claimsOf(t.Kind, old) {
		if after[c] || p.holder(c) != me {
			continue
		}
		if err := p.releaseClaim(c); err != nil {
			return err
		}
	}
	return nil
}

func (p *plan) takeClaim(c registry.Claim, me string) error {
	if who, ok := p.claims[c]; ok && who == me {
		return nil // named twice by one object
	}
	if e, ok := p.get(claimKey(c)); ok {
		p.check(e)
	} else if _, err := p.create(claimKey(c), &storev1.Operation{Action: storev1.Action_ACTION_PUT, Value: []byte(me)}); err != nil {
		return err
	}
	p.note(c, me)
	return nil
}

func (p *plan) releaseClaim(c registry.Claim) error {
	if who, ok := p.claims[c]; ok && who == "" {
		return nil
	}
	if e, ok := p.get(claimKey(c)); ok {
		if _, err := p.remove(e); err != nil {
			return err
		}
	}
	p.note(c, "")
	return nil
}

func claimsOf(k *registry.Kind, obj registry.Object) []registry.Claim {
	if obj == nil {
		return nil
	}
	return k.Claims(obj)
}

func claimSet(k *registry.Kind, obj registry.Object) map[registry.Claim]bool {
	set := map[registry.Claim]bool{}
	for _, c := range claimsOf(k, obj) {
		set[c] = true
	}
	return set
}

func claimTaken(k *registry.Kind, obj registry.Object, c registry.Claim, holder string) error {
	if k.ClaimTaken == nil {
		return apierrors.NewConflict(k.GroupResource(), obj.GetName(), errClaimed(c))
	}
	err := k.ClaimTaken(obj, c, strings.TrimPrefix(holder, k.StoreResource()+"/"))
	if wrong := (*field.Error)(nil); errors.As(err, &wrong) {
		return invalid(k, obj.GetName(), field.ErrorList{wrong})
	}
	return err
}

func (p *plan) note(c registry.Claim, owner string) {
	if p.claims == nil {
		p.claims = map[registry.Claim]string{}
	}
	p.claims[c] = owner
}
