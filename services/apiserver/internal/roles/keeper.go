package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

const clusterRoles = "clusterroles." + rbacv1.GroupName

// lookInterval is how often a server looks whether it has come to lead.
const lookInterval = 2 * time.Second

// Config is what New needs.
type Config struct {
	Objects *objects.Service
	Store   *state.Store
	// Name of this server.
	Name string
	// Leading tells whether this server leads; nil is always. It does not block. The
	// leader alone writes, so that no two servers, of two versions maybe, fight.
	Leading func() bool
	Logger  *slog.Logger
}

// Keeper keeps the default roles and fills roles from others. It is in the server, where
// Kubernetes has a controller, so that nobody outside needs the right to give rights that
// they do not have.
type Keeper struct {
	config Config
	logger *slog.Logger

	ensured bool // the defaults, since this server started; Ensure's alone

	// filling holds the one who fills roles. It waits for writes, so it is no mutex: who
	// waits for it may give up, and virtual time goes on meanwhile.
	filling chan struct{}
	filled  state.Mark // the roles that were all filled
}

// New returns a Keeper.
func New(config Config) (*Keeper, error) {
	if config.Objects == nil || config.Store == nil || config.Logger == nil {
		return nil, errors.New("new role keeper: objects, store and logger are required")
	}
	return &Keeper{config: config, logger: config.Logger.With("component", "roles"), filling: make(chan struct{}, 1)}, nil
}

func (k *Keeper) leading() bool { return k.config.Leading == nil || k.config.Leading() }

func (k *Keeper) asServer(ctx context.Context) context.Context {
	id := pki.ServerIdentity(k.config.Name)
	return access.WithUser(ctx, access.User{Name: id.User, Groups: id.Groups})
}

// Ensure makes the roles and bindings of the policy be there, once since the server
// started and if it leads.
func (k *Keeper) Ensure(ctx context.Context) error {
	if k.ensured || !k.leading() {
		return nil
	}
	wanted, err := Defaults()
	if err != nil {
		return err
	}
	var changes []objects.Change
	for _, obj := range wanted {
		change, err := k.change(obj)
		if err != nil {
			return err
		}
		if change != nil {
			changes = append(changes, *change)
		}
	}
	if len(changes) > 0 {
		if _, err := k.config.Objects.Transact(k.asServer(ctx), changes, false); err != nil {
			return fmt.Errorf("store default roles: %w", err)
		}
	}
	k.ensured = true
	return k.fill(ctx)
}

// change returns what makes the object what it should be; nil is nothing.
func (k *Keeper) change(wanted registry.Object) (*objects.Change, error) {
	t, err := k.target(wanted)
	if err != nil {
		return nil, err
	}
	e, ok := k.config.Store.View().Get(state.Key{Resource: t.Kind.StoreResource(), Namespace: t.Namespace, Name: t.Name})
	if !ok {
		t.Name = ""
		return &objects.Change{Target: t, Create: wanted}, nil
	}
	found := t.Kind.New()
	if err := found.Unmarshal(e.Value()); err != nil {
		return nil, fmt.Errorf("read %s %q: %w", t.Kind.Resource, t.Name, err)
	}
	found.SetResourceVersion(fmt.Sprint(e.ModRevision))
	if obj := Reconcile(found, wanted); obj != nil {
		return &objects.Change{Target: t, Update: obj}, nil
	}
	return nil, nil
}

func (k *Keeper) target(obj registry.Object) (objects.Target, error) {
	kinds := map[string]string{
		"*v1.Role": "Role", "*v1.RoleBinding": "RoleBinding",
		"*v1.ClusterRole": "ClusterRole", "*v1.ClusterRoleBinding": "ClusterRoleBinding",
	}
	gvk := schema.GroupVersion{Group: rbacv1.GroupName, Version: "v1"}.WithKind(kinds[fmt.Sprintf("%T", obj)])
	kind, ok := k.config.Objects.Kinds().ByKind(gvk)
	if !ok {
		return objects.Target{}, fmt.Errorf("kind %s is not served", gvk)
	}
	return objects.Target{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}, nil
}

// Run fills roles from others, as these change, until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		view := k.config.Store.View()
		if k.leading() {
			if err := k.fill(ctx); err != nil && ctx.Err() == nil {
				k.logger.Debug("roles not filled yet", "error", err)
			}
		}
		k.wait(ctx, view)
	}
	return nil
}

// wait returns when a role has changed since the view, or when it is time to look who
// leads.
func (k *Keeper) wait(ctx context.Context, view state.View) {
	ctx, cancel := context.WithTimeout(ctx, lookInterval)
	defer cancel()
	watcher, err := k.config.Store.Watch(clusterRoles, "", "", view.Revision())
	if err != nil {
		<-ctx.Done()
		return
	}
	_, _ = watcher.Next(ctx)
}

// fill writes the rules of the roles that are filled from others, until all have what
// they should.
func (k *Keeper) fill(ctx context.Context) error {
	select {
	case k.filling <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-k.filling }()
	for {
		view := k.config.Store.View()
		mark := view.Mark(clusterRoles, "")
		if mark == k.filled {
			return nil
		}
		changed := Aggregate(stored(view))
		if len(changed) == 0 {
			k.filled = mark
			return nil
		}
		var changes []objects.Change
		for _, role := range changed {
			t, err := k.target(role)
			if err != nil {
				return err
			}
			changes = append(changes, objects.Change{Target: t, Update: role})
		}
		_, err := k.config.Objects.Transact(k.asServer(ctx), changes, false)
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return fmt.Errorf("fill roles: %w", err)
		}
	}
}

func stored(view state.View) []*rbacv1.ClusterRole {
	var all []*rbacv1.ClusterRole
	for e := range view.List(clusterRoles, "") {
		role := new(rbacv1.ClusterRole)
		if role.Unmarshal(e.Value()) == nil {
			role.ResourceVersion = fmt.Sprint(e.ModRevision)
			all = append(all, role)
		}
	}
	return all
}
