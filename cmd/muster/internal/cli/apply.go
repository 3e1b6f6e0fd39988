package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/apply"
	"github.com/musterhq/muster/cmd/muster/internal/manifest"
	"github.com/musterhq/muster/sdk"
)

// applyFlags are those of muster apply.
type applyFlags struct {
	access          accessFlags
	source          manifest.Source
	namespace       string
	manager, dryRun string
	validate        string
	atomic, force   bool
	timeout         time.Duration
}

func newApply() *cobra.Command {
	var f applyFlags
	c := &cobra.Command{
		Use:   "apply -f PATH",
		Short: "Have the cluster be as manifests say, all of it or nothing",
		Long: `Have the cluster be as manifests say. With --atomic a whole set of manifests is
applied in one transaction: all of it or, when one object is refused, nothing, and
what refused is named with its file and line. Nobody sees a part of it meanwhile.
Without it objects are applied one by one, as by kubectl apply, and those that are
refused are left out.

Each object is applied as by kubectl apply --server-side: the fields of its manifest
become what they say, fields that the last application had and this one leaves out
are removed, and fields that others manage are left alone. One that another manager
wants otherwise is a conflict; --force-conflicts takes it.

Manifests are YAML or JSON, one or many in a file, lists too, in any order: what
others need, such as a namespace, comes first by itself. At most 1000 objects, of
8 MB, are applied together.`,
		Example: `  muster apply --atomic -f shop/           every .yaml, .yml and .json of a directory
  muster apply --atomic -R -f deploy/      and of the directories in it
  muster apply --atomic -f a.yaml -f b.json
  helm template shop | muster apply --atomic -n shop -f -
  muster apply --atomic --dry-run=server -f shop/    would it be accepted?`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	f.access.add(c)
	c.Flags().StringArrayVarP(&f.source.Paths, "filename", "f", nil, "file or directory with manifests, - for standard input; may be repeated")
	c.Flags().BoolVarP(&f.source.Recursive, "recursive", "R", false, "read the directories in directories, too")
	c.Flags().StringVarP(&f.namespace, "namespace", "n", "default", "namespace of what names none")
	c.Flags().BoolVar(&f.atomic, "atomic", false, "apply all or nothing, in one transaction")
	c.Flags().StringVar(&f.dryRun, "dry-run", "none", "none, or server: have the server check everything and store nothing")
	c.Flags().Lookup("dry-run").NoOptDefVal = "server"
	c.Flags().StringVar(&f.manager, "field-manager", "muster", "who the fields are managed by")
	c.Flags().BoolVar(&f.force, "force-conflicts", false, "take fields from those who manage them and want them otherwise")
	c.Flags().StringVar(&f.validate, "validate", "strict", "fields that a kind does not have: strict refuses them, warn and ignore drop them")
	c.Flags().DurationVar(&f.timeout, "timeout", time.Minute, "how long it may take")
	return c
}

func (f *applyFlags) run(c *cobra.Command) error {
	if len(f.source.Paths) == 0 {
		return usageError{errors.New("muster apply needs -f PATH: a file or directory with manifests, or -")}
	}
	if err := oneOf("dry-run", f.dryRun, "none", "server"); err != nil {
		return err
	}
	if err := oneOf("validate", f.validate, "strict", "warn", "ignore"); err != nil {
		return err
	}
	f.source.Stdin = c.InOrStdin()
	manifests, err := f.source.Read()
	if err != nil {
		return err
	}
	_, client, err := f.access.connect()
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(c.Context(), f.timeout)
	defer cancel()
	return apply.Run(ctx, apply.Config{
		Client: client, Namespace: f.namespace, Manager: f.manager, Atomic: f.atomic,
		DryRun: f.dryRun == "server", Options: f.options(), Out: c.OutOrStdout(), Err: c.ErrOrStderr(),
	}, manifests)
}

func (f *applyFlags) options() []sdk.WriteOption {
	var out []sdk.WriteOption
	if f.force {
		out = append(out, sdk.Force())
	}
	switch f.validate {
	case "warn":
		out = append(out, sdk.Lenient(func(string) {})) // the transaction's warnings are shown
	case "ignore":
		out = append(out, sdk.Lenient(nil))
	}
	return out
}
