package rbac

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Authorizer decides by the roles and bindings of a state. What it keeps of them
// follows the state: it decides by the latest view there is when it is asked, and
// decodes again only what has changed.
type Authorizer struct {
	store *state.Store

	cluster    atomic.Pointer[layer]
	namespaces sync.Map // of *layer, by name
	making     sync.Mutex
}

// New returns an Authorizer over the roles and bindings in store.
func New(store *state.Store) *Authorizer {
	a := &Authorizer{store: store}
	a.cluster.Store(&layer{})
	return a
}

// Authorize tells whether a role allows the request, and why: by which binding or,
// where none allows it, which roles that the user is bound to are not there.
func (a *Authorizer) Authorize(r *Request) (allowed bool, reason string) {
	var missing []error
	a.visit(r.User, r.Groups, r.Namespace, func(source func() string, rules []rbacv1.PolicyRule, err error) bool {
		if err != nil {
			missing = append(missing, err)
		}
		for i := range rules {
			if Allows(&rules[i], r) {
				allowed, reason = true, "RBAC: allowed by "+source()
				return false
			}
		}
		return true
	})
	if !allowed && len(missing) > 0 {
		reason = "RBAC: " + utilerrors.NewAggregate(missing).Error()
	}
	return allowed, reason
}

// RulesFor returns the rules that a user has in a namespace, those of the cluster
// included, and an error that names roles that are bound and not there.
func (a *Authorizer) RulesFor(user string, groups []string, namespace string) ([]rbacv1.PolicyRule, error) {
	var out []rbacv1.PolicyRule
	var missing []error
	a.visit(user, groups, namespace, func(_ func() string, rules []rbacv1.PolicyRule, err error) bool {
		out = append(out, rules...)
		if err != nil {
			missing = append(missing, err)
		}
		return true
	})
	return out, utilerrors.NewAggregate(missing)
}

// RulesOf returns the rules of the role that a binding in the namespace refers to, and
// whether there is such a role.
func (a *Authorizer) RulesOf(ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, bool) {
	view := a.store.View()
	rules, err := lookup(a.clusterLayer(view), a.namespaceLayer(view, namespace), ref)
	return rules, err == nil
}

// visitor is told the rules of each role that a user is bound to, or that the role is
// not there. It tells whether to go on.
type visitor func(source func() string, rules []rbacv1.PolicyRule, err error) bool

// visit goes through the cluster's bindings and then through those of the namespace,
// each ordered by name.
func (a *Authorizer) visit(user string, groups []string, namespace string, tell visitor) {
	view := a.store.View()
	cluster := a.clusterLayer(view)
	if !visitLayer(cluster, cluster, nil, "", user, groups, tell) || namespace == "" {
		return
	}
	if own := a.namespaceLayer(view, namespace); own != nil {
		visitLayer(own, cluster, own, namespace, user, groups, tell)
	}
}

func visitLayer(l, cluster, own *layer, namespace, user string, groups []string, tell visitor) bool {
	for _, g := range l.grants(user, groups) {
		rules, err := lookup(cluster, own, g.ref)
		if !tell(func() string { return g.describe(namespace) }, rules, err) {
			return false
		}
	}
	return true
}

// grants returns the bindings that name the user or one of the groups, each once.
func (l *layer) grants(user string, groups []string) []*granted {
	if len(l.subjects) == 0 {
		return nil
	}
	var space [16]*granted
	out := append(space[:0], l.subjects[subject{name: user}]...)
	lists := 0
	if len(out) > 0 {
		lists++
	}
	for _, group := range groups {
		if more := l.subjects[subject{group: true, name: group}]; len(more) > 0 {
			out = append(out, more...)
			lists++
		}
	}
	if lists < 2 {
		return out
	}
	slices.SortStableFunc(out, func(a, b *granted) int { return cmp.Compare(a.order, b.order) })
	return slices.CompactFunc(out, func(a, b *granted) bool { return a.binding == b.binding })
}

// lookup returns the rules of a role. own is nil where there are no namespaced roles.
func lookup(cluster, own *layer, ref rbacv1.RoleRef) ([]rbacv1.PolicyRule, error) {
	from, resource := cluster, "clusterroles"
	switch ref.Kind {
	case "ClusterRole":
	case "Role":
		from, resource = own, "roles"
	default:
		return nil, fmt.Errorf("unsupported role reference kind: %q", ref.Kind)
	}
	if from != nil {
		if found, ok := from.roles[ref.Name]; ok {
			return found.rules, nil
		}
	}
	return nil, apierrors.NewNotFound(rbacv1.Resource(resource[:len(resource)-1]), ref.Name)
}

func (a *Authorizer) clusterLayer(view state.View) *layer {
	if l := a.cluster.Load(); l.current(view, "") {
		return l
	}
	a.making.Lock()
	defer a.making.Unlock()
	l := a.cluster.Load()
	if l.current(view, "") {
		return l
	}
	l = l.next(view, "")
	a.cluster.Store(l)
	return l
}

// namespaceLayer returns nil for a namespace without roles and bindings.
func (a *Authorizer) namespaceLayer(view state.View, namespace string) *layer {
	if namespace == "" {
		return nil
	}
	known := &layer{}
	if v, ok := a.namespaces.Load(namespace); ok {
		known = v.(*layer)
	}
	if known.current(view, namespace) {
		return known.unlessEmpty()
	}
	a.making.Lock()
	defer a.making.Unlock()
	l := known.next(view, namespace)
	if l.unlessEmpty() == nil {
		a.namespaces.Delete(namespace)
		return nil
	}
	a.namespaces.Store(namespace, l)
	return l
}

func (l *layer) unlessEmpty() *layer {
	if len(l.roles) == 0 && len(l.bindings) == 0 {
		return nil
	}
	return l
}
