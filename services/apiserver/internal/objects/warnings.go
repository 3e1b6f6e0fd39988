package objects

import "context"

type warnKey struct{}

// WithWarnings returns a context in which warn is told what a client should hear
// though its change is accepted. It is told the same text once.
func WithWarnings(ctx context.Context, warn func(text string)) context.Context {
	told := map[string]bool{}
	return context.WithValue(ctx, warnKey{}, func(text string) {
		if !told[text] {
			told[text] = true
			warn(text)
		}
	})
}

// warner returns who is told in ctx; nobody, where no one asked.
func warner(ctx context.Context) func(string) {
	if warn, ok := ctx.Value(warnKey{}).(func(string)); ok {
		return warn
	}
	return func(string) {}
}
