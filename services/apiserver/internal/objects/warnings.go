package objects

import (
	"context"
	"slices"
)

type warnKey struct{}

// warnings remembers what was told: a change may be planned several times.
type warnings struct {
	told []string
	tell func(text string)
}

func (w *warnings) warn(text string) {
	if !slices.Contains(w.told, text) {
		w.told = append(w.told, text)
		w.tell(text)
	}
}

// WithWarnings returns a context in which warn is told what a client should hear
// though its change is accepted, each text once. It is called by one goroutine at a
// time, and not after the call with the context returned.
func WithWarnings(ctx context.Context, warn func(text string)) context.Context {
	return context.WithValue(ctx, warnKey{}, &warnings{tell: warn})
}

// warner returns who is told in ctx; nobody, where no one asked.
func warner(ctx context.Context) func(string) {
	if w, ok := ctx.Value(warnKey{}).(*warnings); ok {
		return w.warn
	}
	return func(string) {}
}
