package rbac

import (
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// The resources as the state names them.
const (
	roles               = "roles." + rbacv1.GroupName
	roleBindings        = "rolebindings." + rbacv1.GroupName
	clusterRoles        = "clusterroles." + rbacv1.GroupName
	clusterRoleBindings = "clusterrolebindings." + rbacv1.GroupName
)

// layer is the roles and the bindings of one namespace, or those of the cluster, as
// decisions need them. It is never modified.
type layer struct {
	rolesMark, bindingsMark state.Mark

	roles    map[string]*role
	bindings map[string]*binding    // by name; what the next layer is made with
	subjects map[subject][]*granted // in the order of the bindings' names
}

// role is what a stored role allows.
type role struct {
	entry *state.Entry
	rules []rbacv1.PolicyRule
}

// binding is a stored binding.
type binding struct {
	entry    *state.Entry
	name     string
	ref      rbacv1.RoleRef
	subjects []rbacv1.Subject
}

// granted is a binding, as one of its subjects has it.
type granted struct {
	*binding
	as    *rbacv1.Subject
	order int // of the binding among those of the layer
}

// subject is a user or a group. A service account is the user that it is.
type subject struct {
	group bool
	name  string
}

// resources of a layer: with a namespace its own, else the cluster's.
func resources(namespace string) (ofRoles, ofBindings string) {
	if namespace == "" {
		return clusterRoles, clusterRoleBindings
	}
	return roles, roleBindings
}

// current tells whether the layer holds what the view has.
func (l *layer) current(view state.View, namespace string) bool {
	ofRoles, ofBindings := resources(namespace)
	return l.rolesMark == view.Mark(ofRoles, namespace) && l.bindingsMark == view.Mark(ofBindings, namespace)
}

// next returns the layer of the view. What is in l already is not decoded again.
func (l *layer) next(view state.View, namespace string) *layer {
	ofRoles, ofBindings := resources(namespace)
	out := &layer{rolesMark: view.Mark(ofRoles, namespace), bindingsMark: view.Mark(ofBindings, namespace)}
	out.roles = l.roles
	if out.rolesMark != l.rolesMark {
		out.roles = l.nextRoles(view, ofRoles, namespace)
	}
	out.bindings, out.subjects = l.bindings, l.subjects
	if out.bindingsMark != l.bindingsMark {
		out.bind(l, view, ofBindings, namespace)
	}
	return out
}

func (l *layer) nextRoles(view state.View, resource, namespace string) map[string]*role {
	out := map[string]*role{}
	for e := range view.List(resource, namespace) {
		known := l.roles[e.Key.Name]
		if known == nil || known.entry != e {
			known = &role{entry: e, rules: rulesOf(e)}
		}
		out[e.Key.Name] = known
	}
	return out
}

// rulesOf decodes a role. The two kinds have the rules in the same field; what cannot
// be read grants nothing.
func rulesOf(e *state.Entry) []rbacv1.PolicyRule {
	var stored rbacv1.ClusterRole
	if e.Key.Namespace != "" {
		var namespaced rbacv1.Role
		if namespaced.Unmarshal(e.Value()) != nil {
			return nil
		}
		return namespaced.Rules
	}
	if stored.Unmarshal(e.Value()) != nil {
		return nil
	}
	return stored.Rules
}

func (l *layer) bind(from *layer, view state.View, resource, namespace string) {
	l.bindings, l.subjects = map[string]*binding{}, map[subject][]*granted{}
	order := 0
	for e := range view.List(resource, namespace) {
		b := from.bindings[e.Key.Name]
		if b == nil || b.entry != e {
			b = bindingOf(e)
		}
		l.bindings[b.name] = b
		for i := range b.subjects {
			s, ok := subjectOf(&b.subjects[i], namespace)
			if ok && !holds(l.subjects[s], b) {
				l.subjects[s] = append(l.subjects[s], &granted{binding: b, as: &b.subjects[i], order: order})
			}
		}
		order++
	}
}

// holds tells whether the last grant is the binding's: a subject named twice has it once.
func holds(grants []*granted, b *binding) bool {
	return len(grants) > 0 && grants[len(grants)-1].binding == b
}

func bindingOf(e *state.Entry) *binding {
	b := &binding{entry: e, name: e.Key.Name}
	if e.Key.Namespace != "" {
		var stored rbacv1.RoleBinding
		if stored.Unmarshal(e.Value()) == nil {
			b.ref, b.subjects = stored.RoleRef, stored.Subjects
		}
		return b
	}
	var stored rbacv1.ClusterRoleBinding
	if stored.Unmarshal(e.Value()) == nil {
		b.ref, b.subjects = stored.RoleRef, stored.Subjects
	}
	return b
}

// subjectOf returns whom a binding in the namespace means.
func subjectOf(s *rbacv1.Subject, namespace string) (subject, bool) {
	switch s.Kind {
	case rbacv1.UserKind:
		return subject{name: s.Name}, true
	case rbacv1.GroupKind:
		return subject{group: true, name: s.Name}, true
	case rbacv1.ServiceAccountKind:
		if s.Namespace != "" {
			namespace = s.Namespace
		}
		return subject{name: "system:serviceaccount:" + namespace + ":" + s.Name}, namespace != ""
	}
	return subject{}, false
}

// describe says which binding grants something to whom, as Kubernetes words it.
func (g *granted) describe(namespace string) string {
	kind, name := "ClusterRoleBinding", g.name
	if namespace != "" {
		kind, name = "RoleBinding", g.name+"/"+namespace
	}
	who := g.as.Name
	if g.as.Kind == rbacv1.ServiceAccountKind {
		if g.as.Namespace != "" {
			namespace = g.as.Namespace
		}
		who += "/" + namespace
	}
	return fmt.Sprintf("%s %q of %s %q to %s %q", kind, name, g.ref.Kind, g.ref.Name, g.as.Kind, who)
}
