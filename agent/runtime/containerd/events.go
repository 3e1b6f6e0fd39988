package containerd

import (
	"context"
	"errors"
	"fmt"
	"time"

	eventsapi "github.com/containerd/containerd/api/events"
	"github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/errdefs"
	"github.com/containerd/typeurl/v2"

	"github.com/musterhq/muster/agent/runtime"
)

const markTopic = "/muster/subscribed"

// Events implements runtime.Runtime. The first event is empty: from it on
// nothing is missed, so a caller that lists after it knows all.
func (r *Runtime) Events(ctx context.Context, yield func(runtime.Event)) error {
	ctx, cancel := context.WithCancel(r.context(ctx))
	defer cancel()
	filter := func(topic string) string { return fmt.Sprintf("topic==%q,namespace==%q", topic, r.cfg.Namespace) }
	envelopes, errs := r.client.Subscribe(ctx, filter("/tasks/exit"), filter("/tasks/oom"), filter(markTopic))
	// Subscribing is asynchronous, so marks are sent until one comes back.
	mark := time.NewTicker(50 * time.Millisecond)
	defer mark.Stop()
	if err := r.publishMark(ctx); err != nil {
		return err
	}
	subscribed := false
	for {
		select {
		case <-mark.C:
			if err := r.publishMark(ctx); err != nil {
				return err
			}
		case e := <-envelopes:
			if e.Topic == markTopic {
				if !subscribed {
					subscribed = true
					mark.Stop()
					yield(runtime.Event{})
				}
				continue
			}
			r.deliver(ctx, e, yield)
		case err := <-errs:
			if ctx.Err() != nil || err == nil {
				return ctx.Err()
			}
			return fmt.Errorf("watch containerd's events: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *Runtime) publishMark(ctx context.Context) error {
	err := r.client.EventService().Publish(ctx, markTopic, &eventsapi.NamespaceUpdate{Name: r.cfg.Namespace})
	if err != nil {
		return fmt.Errorf("publish to containerd: %w", err)
	}
	return nil
}

func (r *Runtime) deliver(ctx context.Context, e *events.Envelope, yield func(runtime.Event)) {
	v, err := typeurl.UnmarshalAny(e.Event)
	if err != nil {
		r.cfg.Logger.Warn("skip unreadable containerd event", "topic", e.Topic, "error", err)
		return
	}
	var out runtime.Event
	switch ev := v.(type) {
	case *eventsapi.TaskExit:
		if ev.ID != ev.ContainerID {
			return // An exec ended, not the container.
		}
		out.ContainerID = ev.ContainerID
	case *eventsapi.TaskOOM:
		out.ContainerID, out.OOM = ev.ContainerID, true
	default:
		return
	}
	uid, err := r.owner(ctx, out.ContainerID)
	if err != nil {
		if !errors.Is(err, runtime.ErrNotFound) {
			r.cfg.Logger.Warn("find the pod of a container", "container", out.ContainerID, "error", err)
		}
		return
	}
	out.PodUID = uid
	yield(out)
}

func (r *Runtime) owner(ctx context.Context, id string) (string, error) {
	if uid, ok := r.owners.get(id); ok {
		return uid, nil
	}
	c, err := r.client.ContainerService().Get(ctx, id)
	if errdefs.IsNotFound(err) {
		return "", fmt.Errorf("container %s: %w", id, runtime.ErrNotFound)
	}
	if err != nil {
		return "", err
	}
	uid := c.Labels[labelPodUID]
	if uid == "" {
		return "", fmt.Errorf("container %s is no pod's: %w", id, runtime.ErrNotFound)
	}
	return uid, nil
}
