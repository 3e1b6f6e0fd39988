package objects

import (
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/internal/quota"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// ledger has the accounts of namespaces with quotas, as a plan will leave them. What
// a quota says is used changes in the transaction of the object that uses it, so it
// is exact at every revision.
type ledger map[string][]account

// account is one ResourceQuota. Its quota is replaced, never modified: plans share it.
type account struct {
	entry   *state.Entry
	quota   *corev1.ResourceQuota
	changed bool
}

// changed tells whether the plan changes any account.
func (l ledger) changed() bool {
	for _, accounts := range l {
		if slices.ContainsFunc(accounts, func(a account) bool { return a.changed }) {
			return true
		}
	}
	return false
}

// copy returns a ledger that can be changed apart.
func (l ledger) copy() ledger {
	c := maps.Clone(l)
	for namespace := range c {
		c[namespace] = slices.Clone(c[namespace])
	}
	return c
}

// charge counts a change of an object, either side of which may be missing; old is
// was, decoded, where somebody has done that. A namespace without quotas costs one
// look into the state's tree.
func (p *plan) charge(t Target, was *Stored, old, obj registry.Object) error {
	if !t.Kind.Namespaced {
		return nil
	}
	c := quota.Change{Resource: t.Kind.StoreResource()}
	if was != nil && obj != nil && !quota.MayChange(c.Resource, t.Subresource, old, obj) {
		return nil // It is one object, before and after.
	}
	if p.view.Count(quota.Resource, t.Namespace) == 0 {
		p.noQuota(t.Namespace)
		return nil
	}
	if was != nil && old == nil {
		var err error
		if old, err = was.Decode(); err != nil {
			return err
		}
	}
	if old != nil {
		c.Old = old
	}
	if obj != nil {
		c.New = obj
	}
	c.Enforced = enforced(t, c)
	accounts, err := p.accounts(t.Namespace)
	if err != nil {
		return err
	}
	for i, a := range accounts {
		used, err := quota.Charge(a.quota, c)
		if err != nil {
			return apierrors.NewForbidden(t.Kind.GroupResource(), t.Name, err)
		}
		if !sameUse(used, a.quota.Status.Used) {
			accounts[i].charge(used)
		}
	}
	return nil
}

// noQuota makes the transaction depend on there being no quota still: to add one
// changes the namespace. A creation depends on that anyhow.
func (p *plan) noQuota(namespace string) {
	if e, ok := p.get(state.Key{Resource: namespaces, Name: namespace}); ok {
		p.check(e)
	}
}

// enforced tells whether a change may be refused for what it asks for. What a
// controller or a node reports, and what lessens, is only counted.
func enforced(t Target, c quota.Change) bool {
	switch {
	case c.New == nil:
		return false
	case c.Old == nil:
		return true
	case c.Resource == "pods":
		return t.Subresource == "resize"
	}
	return t.Subresource == ""
}

func sameUse(a, b corev1.ResourceList) bool {
	return maps.EqualFunc(a, b, func(x, y resource.Quantity) bool { return x.Cmp(y) == 0 })
}

func (a *account) charge(used corev1.ResourceList) {
	next := *a.quota
	next.Status.Used = used
	a.quota, a.changed = &next, true
}

// accounts returns those of a namespace, to be charged.
func (p *plan) accounts(namespace string) ([]account, error) {
	if list, ok := p.ledger[namespace]; ok {
		return list, nil
	}
	var list []account
	for e := range p.view.List(quota.Resource, namespace) {
		q := &corev1.ResourceQuota{}
		if err := q.Unmarshal(e.Value()); err != nil {
			return nil, fmt.Errorf("decode quota %s/%s: %w", namespace, e.Key.Name, err)
		}
		a := account{entry: e, quota: q}
		if !quota.Current(q) {
			used, err := quota.Measure(q, contents{p.view, namespace, p.kind})
			if err != nil {
				return nil, err
			}
			q.Status.Hard = q.Spec.Hard.DeepCopy()
			a.charge(used)
		}
		list = append(list, a)
	}
	if p.ledger == nil {
		p.ledger = ledger{}
	}
	p.ledger[namespace] = list
	return list, nil
}

// settleLedger has the transaction store what was charged. A quota that the
// transaction removes needs it no more; of one that it changes the rest stays.
func (p *plan) settleLedger() error {
	for _, namespace := range slices.Sorted(maps.Keys(p.ledger)) {
		for _, a := range p.ledger[namespace] {
			if !a.changed {
				continue
			}
			if err := p.settleAccount(a); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *plan) settleAccount(a account) error {
	key := a.entry.Key.Plain()
	if p.written.has(key) && p.pending == nil {
		return nil // The quota itself was what changed.
	}
	e, ok := p.get(key)
	if !ok {
		return nil
	}
	q := a.quota
	if p.written.has(key) {
		q = &corev1.ResourceQuota{}
		if err := q.Unmarshal(e.Value()); err != nil {
			return fmt.Errorf("decode quota %s/%s: %w", key.Namespace, key.Name, err)
		}
		q.Status.Used = a.quota.Status.Used
	}
	k, err := p.kind(quota.Resource)
	if err != nil {
		return err
	}
	value, err := encode(k, q.DeepCopy())
	if err != nil {
		return err
	}
	_, err = p.replace(e, p.put(k, q, value))
	return err
}

// contents is a namespace as quotas count it.
type contents struct {
	view      state.View
	namespace string
	kind      func(resource string) (*registry.Kind, error)
}

func (c contents) Count(resource string) (int64, error) {
	return int64(c.view.Count(resource, c.namespace)), nil
}

func (c contents) Each(resource string, each func(runtime.Object)) error {
	for e := range c.view.List(resource, c.namespace) {
		k, err := c.kind(resource)
		if err != nil {
			return err
		}
		obj, err := storedEntry(k, e).Decode()
		if err != nil {
			return err
		}
		each(obj)
	}
	return nil
}

// fence has every change of the namespace that is on its way be planned anew: it was
// planned without the quota that the plan adds.
func (p *plan) fence(namespace string) error {
	key := state.Key{Resource: namespaces, Name: namespace}
	e, ok := p.get(key)
	if !ok || p.written.has(key) {
		return nil
	}
	_, err := p.replace(e, &storev1.Operation{
		Action: storev1.Action_ACTION_PUT, Value: e.Value(), Index: e.Index(), ExpiresUnix: e.Expires,
	})
	return err
}

// alone tells whether all that the plan charges is in one namespace, whose quotas it
// does not change otherwise: then it can go together with others.
func (p *plan) alone() (namespace string, ok bool) {
	if len(p.ledger) != 1 {
		return "", false
	}
	for ns, accounts := range p.ledger {
		namespace = ns
		for _, a := range accounts {
			if p.written.has(a.entry.Key.Plain()) {
				return "", false
			}
		}
	}
	return namespace, true
}

// kind finds a kind by what the state calls it.
func (p *plan) kind(resource string) (*registry.Kind, error) {
	k, ok := p.kinds.ByStoreResource(resource)
	if !ok {
		return nil, fmt.Errorf("%s are not served", resource)
	}
	return k, nil
}
