package sim

import (
	"context"
	"errors"
)

// process is something that runs until it is stopped.
type process struct {
	cancel context.CancelFunc
	done   chan struct{}
	err    error // once done is closed
}

func run(f func(context.Context) error) *process {
	ctx, cancel := context.WithCancel(context.Background())
	p := &process{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = f(ctx)
	}()
	return p
}

// stop waits for the end. Being told to stop is no error.
func (p *process) stop() error {
	p.cancel()
	<-p.done
	if errors.Is(p.err, context.Canceled) {
		return nil
	}
	return p.err
}
