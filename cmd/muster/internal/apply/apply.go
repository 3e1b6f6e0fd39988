// Package apply has a cluster be as manifests say: all of it in one transaction, or one
// object after the other.
package apply

import (
	"context"
	"errors"
	"fmt"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/cmd/muster/internal/manifest"
	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk"
)

// Config says what to do.
type Config struct {
	Client *sdk.Client
	// Namespace of what names none.
	Namespace string
	// Manager of the fields.
	Manager string
	// Atomic applies all or nothing.
	Atomic bool
	// DryRun has the server check everything, and store nothing.
	DryRun bool
	// Options of each write.
	Options []sdk.WriteOption
	// Out is told what was done, a line for each object; Err the warnings.
	Out, Err io.Writer
}

// Run applies manifests. An error of an atomic application says which object refused,
// and that nothing was done; of another, which objects were not applied.
func Run(ctx context.Context, cfg Config, manifests []manifest.Manifest) error {
	if len(manifests) == 0 {
		return errors.New("there is no object in what was given")
	}
	ops, err := cfg.operations(ctx, manifests)
	if err != nil {
		return err
	}
	if cfg.Atomic {
		return cfg.together(ctx, manifests, ops)
	}
	return cfg.oneByOne(ctx, manifests, ops)
}

// operations completes the manifests, and returns what is to be done about each.
func (cfg Config) operations(ctx context.Context, manifests []manifest.Manifest) ([]sdk.Operation, error) {
	ops := make([]sdk.Operation, len(manifests))
	served, err := cfg.Client.Kinds(ctx)
	if err != nil {
		return nil, err
	}
	kinds := map[schema.GroupVersionKind]sdk.Kind{}
	for _, k := range served {
		kinds[k.GroupVersionKind] = k
	}
	seen := map[string]string{}
	for i := range manifests {
		m := &manifests[i]
		k, ok := kinds[m.GroupVersionKind]
		switch {
		case !ok:
			err = fmt.Errorf("%s (%s): no matches for kind %q in version %q", m, m.From, m.Kind, m.GroupVersion())
		case k.Namespaced && m.Namespace == "":
			err = m.SetNamespace(cfg.Namespace)
		case !k.Namespaced && m.Namespace != "":
			err = fmt.Errorf("%s (%s): a %s is in no namespace; remove metadata.namespace", m, m.From, m.Kind)
		}
		if err != nil {
			return nil, err
		}
		name := k.Type + " " + m.Namespace + "/" + m.Name
		if before, twice := seen[name]; twice {
			return nil, fmt.Errorf("%s is there twice, in %s and in %s", inNamespace(*m), before, m.From)
		}
		seen[name] = m.From
		ops[i] = sdk.ApplyTypeOp(k.Type, cfg.Manager, m.JSON, cfg.Options...)
	}
	return ops, nil
}

// together applies all or nothing.
func (cfg Config) together(ctx context.Context, manifests []manifest.Manifest, ops []sdk.Operation) error {
	if len(ops) > sdk.MaxOperations {
		return fmt.Errorf("these are %d objects, and at most %d are applied together: apply them in parts, or without --atomic", len(ops), sdk.MaxOperations)
	}
	order := manifest.Order(manifests)
	var tx sdk.Transaction
	for _, i := range order {
		tx.Add(ops[i])
	}
	done, err := cfg.commit(ctx, &tx)
	if err != nil {
		return refusal(err, manifests, order)
	}
	changes := make([]apiv1.Change, len(ops))
	for at, i := range order {
		changes[i] = done.Changes[at]
	}
	cfg.warn(done.Warnings)
	for i, m := range manifests {
		cfg.say(m, changes[i])
	}
	return nil
}

func (cfg Config) commit(ctx context.Context, tx *sdk.Transaction) (*sdk.Done, error) {
	if cfg.DryRun {
		return tx.DryRun(ctx, cfg.Client)
	}
	return tx.Commit(ctx, cfg.Client)
}

// refusal words why nothing was applied, or that this is not known.
func refusal(err error, manifests []manifest.Manifest, order []int) error {
	var refused *sdk.RefusedError
	switch {
	case errors.As(err, &refused) && refused.Index < len(order):
		m := manifests[order[refused.Index]]
		return fmt.Errorf("nothing was applied: %s (%s) was refused: %s%s", inNamespace(m), m.From, refused.Reason(), hint(err))
	case sdk.OutcomeUnknown(err):
		return fmt.Errorf("it is not known whether all or nothing was applied; applying again is safe: %w", err)
	case apierrors.IsRequestEntityTooLargeError(err):
		return fmt.Errorf("nothing was applied: this is too much for one transaction; apply it in parts, or without --atomic: %w", err)
	}
	return fmt.Errorf("nothing was applied: %w", err)
}

// hint says what can be done about some refusals.
func hint(err error) string {
	var refused *sdk.RefusedError
	if errors.As(err, &refused) && apierrors.IsConflict(err) {
		return "\n--force-conflicts takes the fields from those who manage them"
	}
	return ""
}

// oneByOne applies what can be applied.
func (cfg Config) oneByOne(ctx context.Context, manifests []manifest.Manifest, ops []sdk.Operation) error {
	var failed []error
	for _, i := range manifest.Order(manifests) {
		var tx sdk.Transaction
		done, err := cfg.commit(ctx, tx.Add(ops[i]))
		if err != nil {
			m := manifests[i]
			failed = append(failed, fmt.Errorf("%s (%s): %w%s", inNamespace(m), m.From, err, hint(err)))
			continue
		}
		cfg.warn(done.Warnings)
		cfg.say(manifests[i], done.Changes[0])
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %d objects were not applied:\n%w", len(failed), len(ops), errors.Join(failed...))
	}
	return nil
}

func inNamespace(m manifest.Manifest) string {
	if m.Namespace == "" {
		return m.String()
	}
	return m.String() + " in namespace " + m.Namespace
}

// words are kubectl's.
var words = map[apiv1.Change]string{
	apiv1.Change_CHANGE_NONE:    "unchanged",
	apiv1.Change_CHANGE_CREATED: "created",
	apiv1.Change_CHANGE_UPDATED: "configured",
	apiv1.Change_CHANGE_DELETED: "deleted", // was on its way out, and waited for this
}

func (cfg Config) say(m manifest.Manifest, change apiv1.Change) {
	suffix := ""
	if cfg.DryRun {
		suffix = " (server dry run)"
	}
	_, _ = fmt.Fprintf(cfg.Out, "%s %s%s\n", m, words[change], suffix)
}

func (cfg Config) warn(warnings []string) {
	for _, text := range warnings {
		_, _ = fmt.Fprintf(cfg.Err, "Warning: %s\n", text)
	}
}
