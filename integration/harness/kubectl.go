package harness

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// Step is one call of kubectl and what it must print.
type Step struct {
	// Args are cut at spaces; what is in single quotes stays whole.
	Args  string
	Stdin string
	// Want is a regular expression over both streams, in which two spaces match any
	// number of them, as kubectl aligns its columns.
	Want string
	// Old is what a kubectl of 2020 prints where that is something else.
	Old string
	// New is for a step that such a kubectl cannot take.
	New bool
	// Fails is for a call that must end with an error; OldFails where it must by such
	// a kubectl alone.
	Fails, OldFails bool
	// Retry is for how long the call is repeated until it is as wanted.
	Retry time.Duration
}

// Kubectl is a binary of kubectl and how it is called.
type Kubectl struct {
	Path string
	// Old says that it is Debian's, of 2020.
	Old bool
	// Args come before a step's own; Env is added to this process's.
	Args, Env []string
	// Names are put in place of words in steps, in pairs as strings.NewReplacer
	// takes them.
	Names []string
}

// Do takes a step. The test ends when the outcome is another one.
func (k Kubectl) Do(t *testing.T, s Step) {
	t.Helper()
	if err := k.Try(t, s); err != nil {
		t.Fatal(err)
	}
}

// Try takes a step and returns how the outcome is another one.
func (k Kubectl) Try(t *testing.T, s Step) error {
	if s.New && k.Old {
		return nil
	}
	names := strings.NewReplacer(k.Names...)
	text := s.Want
	if k.Old && s.Old != "" {
		text = s.Old
	}
	want, err := regexp.Compile(strings.ReplaceAll(names.Replace(text), "  ", " +"))
	if err != nil {
		return fmt.Errorf("kubectl %s: %w", s.Args, err)
	}
	attempt := func() error {
		return k.attempt(t, names.Replace(s.Args), names.Replace(s.Stdin), want, s.Fails || k.Old && s.OldFails)
	}
	err = attempt()
	if err != nil && s.Retry > 0 {
		err = Eventually(t.Context(), s.Retry, attempt)
	}
	if err != nil {
		return fmt.Errorf("kubectl %s: %w", s.Args, err)
	}
	return nil
}

// Output returns what kubectl writes to its standard output. It must succeed.
func (k Kubectl) Output(t *testing.T, args ...string) string {
	t.Helper()
	out, err := output(k.Command(t, args...))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Command is a call that was not made yet; it ends with the test.
func (k Kubectl) Command(t *testing.T, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), k.Path, slices.Concat(k.Args, args)...)
	cmd.Env = append(cmd.Environ(), k.Env...)
	return cmd
}

func (k Kubectl) attempt(t *testing.T, args, stdin string, want *regexp.Regexp, fails bool) error {
	out, err := run(k.Command(t, split(args)...), stdin)
	switch {
	case fails && err == nil:
		return fmt.Errorf("succeeded, should fail:\n%s", out)
	case !fails && err != nil:
		return err
	case fails && !errors.As(err, new(*exec.ExitError)):
		return err // it did not run, or not to its end
	case !want.MatchString(out):
		return fmt.Errorf("printed\n%s\nnot %s", out, want)
	}
	return nil
}

// split cuts at spaces outside single quotes.
func split(s string) []string {
	var words []string
	for i, part := range strings.Split(s, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words
}
