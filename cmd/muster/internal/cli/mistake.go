package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is a wrong command line, told from what went wrong later.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// near is how many letters a word may differ in and still be taken for a typo.
const near = 2

// refuseUnknown makes every command that only groups others name a word that is
// none of them. Cobra shows the help then, and reports success.
func refuseUnknown(c *cobra.Command) {
	for _, sub := range c.Commands() {
		refuseUnknown(sub)
	}
	if c.Runnable() || !c.HasSubCommands() {
		return
	}
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		return usageError{fmt.Errorf("unknown command %q for %q%s", args[0], c.CommandPath(), meant(c, args[0], c.CommandPath()+" "))}
	}
}

// unknownFlag names the flags that a mistyped one may have meant.
func unknownFlag(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usageError{err}
	}
	// Cobra knows what is near for commands only.
	flags := &cobra.Command{}
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		}
	})
	return usageError{fmt.Errorf("%w%s", err, meant(flags, unknown.GetSpecifiedName(), "--"))}
}

// meant words the suggestions for a mistyped word; "" when there are none.
func meant(c *cobra.Command, word, prefix string) string {
	c.SuggestionsMinimumDistance = near
	var out []string
	for _, name := range c.SuggestionsFor(word) {
		out = append(out, "`"+prefix+name+"`")
	}
	if len(out) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(out, " or ") + "?"
}

// noArgs, exactArgs, minArgs and atMostArgs are cobra's checks as usage errors that show
// what is to be given.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("%s takes no arguments, got %q", c.CommandPath(), args[0])}
	}
	return nil
}

func exactArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error { return asUsage(c, cobra.ExactArgs(n)(c, args), args) }
}

func minArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error { return asUsage(c, cobra.MinimumNArgs(n)(c, args), args) }
}

func atMostArgs(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error { return asUsage(c, cobra.MaximumNArgs(n)(c, args), args) }
}

func asUsage(c *cobra.Command, err error, args []string) error {
	if err == nil {
		return nil
	}
	_, wanted, _ := strings.Cut(c.Use, " ")
	return usageError{fmt.Errorf("%s needs %s, got %q", c.CommandPath(), wanted, args)}
}

// oneOf refuses a flag's value that is none of those it can have.
func oneOf(flag, value string, choices ...string) error {
	if slices.Contains(choices, value) {
		return nil
	}
	last := len(choices) - 1
	return usageError{fmt.Errorf("--%s %q: choose %s or %s", flag, value, strings.Join(choices[:last], ", "), choices[last])}
}
