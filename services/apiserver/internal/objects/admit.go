package objects

import (
	"context"
	"iter"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/admission"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// admitted is what admission has to say to one change; the zero value is nothing.
type admitted struct {
	plugins admission.Plugins
	request *admission.Request
}

// admit has admission change obj, which is defaulted. Most kinds have no plugin and
// cost a look into a map.
func (s *Service) admit(ctx context.Context, p *plan, op admission.Operation, t Target, obj, old registry.Object) (admitted, error) {
	plugins := s.admission.For(t.Kind, t.Subresource)
	if len(plugins) == 0 {
		return admitted{}, nil
	}
	user, _ := access.UserFrom(ctx)
	a := admitted{plugins: plugins, request: &admission.Request{
		Operation: op, Kind: t.Kind, Namespace: t.Namespace, Name: t.Name, Subresource: t.Subresource,
		Object: obj, Old: old, User: user, View: overlay{p}, Warn: warner(ctx),
	}}
	return a, plugins.Admit(a.request)
}

// check has admission look at the object as it is to be stored.
func (a admitted) check() error {
	if a.request == nil {
		return nil
	}
	return a.plugins.Check(a.request)
}

// overlay is what a plan's transaction would leave behind, as plugins see it.
type overlay struct{ plan *plan }

func (o overlay) Get(resource, namespace, name string) (admission.Found, bool) {
	e, ok := o.plan.get(state.Key{Resource: resource, Namespace: namespace, Name: name})
	if !ok {
		return admission.Found{}, false
	}
	o.plan.check(e)
	return admission.Found{Value: e.Value(), Entry: e}, true
}

func (o overlay) List(resource, namespace string) iter.Seq[admission.Found] {
	p := o.plan
	return func(yield func(admission.Found) bool) {
		for e := range p.view.List(resource, namespace) {
			if _, changed := p.pending[e.Key.Plain()]; !changed && !yield(admission.Found{Value: e.Value(), Entry: e}) {
				return
			}
		}
		for key, w := range p.pending {
			if key.Resource == resource && (namespace == "" || key.Namespace == namespace) && w.entry != nil &&
				!yield(admission.Found{Value: w.entry.Value(), Entry: w.entry}) {
				return
			}
		}
	}
}

func (o overlay) Depend(found admission.Found) { o.plan.check(found.Entry) }
