// Package image decides whether a container's image has to be pulled, and pulls
// it with the credentials and the patience that Kubernetes has.
package image

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/distribution/reference"
	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/runtime"
)

// The reasons for which a container waits for its image.
const (
	ReasonPull         = "ErrImagePull"
	ReasonPullBackOff  = "ImagePullBackOff"
	ReasonNeverPull    = "ErrImageNeverPull"
	ReasonInvalidImage = "InvalidImageName"
	ReasonInspect      = "ImageInspectError"
)

// Error is why an image is not there.
type Error struct {
	// Reason as the container's status names it.
	Reason string
	// Message as the container's status words it.
	Message string
	// Cause is nil for a back-off.
	Cause error
	// Retry is when to ask again.
	Retry time.Duration
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Notify tells of an event on the pod.
type Notify func(eventType, reason, message string)

// Store is the part of a runtime that holds images.
type Store interface {
	Image(ctx context.Context, ref string) (runtime.Image, error)
	Pull(ctx context.Context, ref string, auth *runtime.RegistryAuth) (runtime.Image, error)
}

// Puller makes images present. It is used by all pod workers at once.
type Puller struct {
	base    context.Context
	store   Store
	backoff *Backoff
	flights singleflight.Group
}

// invalidRetry is how often something only an edit can mend is looked at.
const invalidRetry = 10 * time.Second

// NewPuller pulls into a store until base ends.
func NewPuller(base context.Context, store Store) *Puller {
	return &Puller{base: base, store: store, backoff: NewBackoff(10*time.Second, 5*time.Minute)}
}

// Ensure returns the image of a container; an error is an *Error or ctx's.
// keyring holds the pod's credentials.
func (p *Puller) Ensure(ctx context.Context, podUID string, c *corev1.Container, keyring Keyring, notify Notify) (runtime.Image, error) {
	named, err := reference.ParseDockerRef(c.Image)
	if err != nil {
		msg := fmt.Sprintf("Failed to apply default image tag %q: couldn't parse image name %q: %v", c.Image, c.Image, err)
		notify(corev1.EventTypeWarning, "InspectFailed", msg)
		return runtime.Image{}, &Error{Reason: ReasonInvalidImage, Message: msg, Cause: err, Retry: invalidRetry}
	}
	if c.ImagePullPolicy != corev1.PullAlways {
		img, err := p.store.Image(ctx, named.String())
		switch {
		case err == nil:
			notify(corev1.EventTypeNormal, "Pulled", fmt.Sprintf("Container image %q already present on machine", c.Image))
			return img, nil
		case ctx.Err() != nil:
			return runtime.Image{}, ctx.Err()
		case !errors.Is(err, runtime.ErrNotFound):
			msg := fmt.Sprintf("Failed to inspect image %q: %v", c.Image, err)
			notify(corev1.EventTypeWarning, "InspectFailed", msg)
			return runtime.Image{}, &Error{Reason: ReasonInspect, Message: msg, Cause: err, Retry: time.Second}
		case c.ImagePullPolicy == corev1.PullNever:
			msg := fmt.Sprintf("Container image %q is not present with pull policy of Never", c.Image)
			notify(corev1.EventTypeWarning, ReasonNeverPull, msg)
			return runtime.Image{}, &Error{Reason: ReasonNeverPull, Message: msg, Retry: invalidRetry}
		}
	}
	return p.pull(ctx, podUID, c.Image, keyring.Lookup(named), notify)
}

func (p *Puller) pull(ctx context.Context, podUID, ref string, auths []*runtime.RegistryAuth, notify Notify) (runtime.Image, error) {
	key := podUID + "_" + ref
	if left, _ := p.backoff.Remaining(key, p.backoff.Updated(key), time.Now()); left > 0 {
		msg := fmt.Sprintf("Back-off pulling image %q", ref)
		notify(corev1.EventTypeNormal, "BackOff", msg)
		return runtime.Image{}, &Error{Reason: ReasonPullBackOff, Message: msg, Retry: left}
	}
	notify(corev1.EventTypeNormal, "Pulling", fmt.Sprintf("Pulling image %q", ref))
	begin := time.Now()
	img, err := p.tryAll(ctx, ref, auths)
	if ctx.Err() != nil {
		return runtime.Image{}, ctx.Err()
	}
	if err != nil {
		now := time.Now()
		delay := p.backoff.Next(key, now, now)
		notify(corev1.EventTypeWarning, "Failed", fmt.Sprintf("Failed to pull image %q: %v", ref, err))
		return runtime.Image{}, &Error{Reason: ReasonPull, Message: err.Error(), Cause: err, Retry: min(delay/2, shown)}
	}
	p.backoff.Forget(key)
	took := time.Since(begin).Round(time.Millisecond)
	notify(corev1.EventTypeNormal, "Pulled", fmt.Sprintf(
		"Successfully pulled image %q in %v (%v including waiting). Image size: %d bytes.", ref, took, took, img.Size))
	return img, nil
}

// shown is how long ErrImagePull is to be seen before it reads ImagePullBackOff.
const shown = 3 * time.Second

// tryAll pulls with each credential until one works. Pods that want the same
// image without credentials share one pull.
func (p *Puller) tryAll(ctx context.Context, ref string, auths []*runtime.RegistryAuth) (img runtime.Image, err error) {
	for _, auth := range auths {
		if img, err = p.store.Pull(ctx, ref, auth); err == nil || ctx.Err() != nil {
			return img, err
		}
	}
	if len(auths) > 0 {
		return img, err
	}
	result := p.flights.DoChan(ref, func() (any, error) {
		// The pull goes on when the pod that asked first goes away: others wait for it.
		return p.store.Pull(p.base, ref, nil)
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return runtime.Image{}, r.Err
		}
		return r.Val.(runtime.Image), nil
	case <-ctx.Done():
		return runtime.Image{}, ctx.Err()
	}
}
