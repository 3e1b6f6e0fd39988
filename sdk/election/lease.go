package election

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
)

// try gets or renews the lease. Neither held nor an error: another holds it.
func (e *elector) try(ctx context.Context) (held bool, err error) {
	now := time.Now()
	lease, err := sdk.Get[*coordinationv1.Lease](ctx, e.Client, e.Namespace, e.Name)
	if apierrors.IsNotFound(err) {
		created, err := sdk.Create(ctx, e.Client, e.claim(nil, now))
		if err != nil {
			return false, err
		}
		e.observe(created)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	e.observe(lease)
	if h := holder(lease); h != "" && h != e.Identity && now.Before(e.observedAt.Add(duration(lease))) {
		return false, nil
	}
	updated, err := sdk.Update(ctx, e.Client, e.claim(lease, now))
	if err != nil {
		return false, err
	}
	e.observe(updated)
	return true, nil
}

// claim is the lease as it is when this instance holds it.
func (e *elector) claim(was *coordinationv1.Lease, now time.Time) *coordinationv1.Lease {
	seconds := int32((e.LeaseDuration + time.Second - 1) / time.Second)
	micro := metav1.NewMicroTime(now)
	if was == nil {
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name},
			Spec: coordinationv1.LeaseSpec{HolderIdentity: &e.Identity, LeaseDurationSeconds: &seconds,
				AcquireTime: &micro, RenewTime: &micro, LeaseTransitions: new(int32)},
		}
	}
	l := was.DeepCopy()
	l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &seconds, &micro
	if holder(was) != e.Identity {
		transitions := int32(1)
		if was.Spec.LeaseTransitions != nil {
			transitions += *was.Spec.LeaseTransitions
		}
		l.Spec.HolderIdentity, l.Spec.AcquireTime, l.Spec.LeaseTransitions = &e.Identity, &micro, &transitions
	}
	return l
}

// release lets a successor lead at once. It is tried briefly: the lease expires
// by itself.
func (e *elector) release() {
	if e.observed == nil || holder(e.observed) != e.Identity {
		return
	}
	e.giveUp(e.observed)
}

// giveUp writes that nobody holds the lease if, as read, this instance does; nil
// has not been read. An attempt that was cut short when this instance was told
// to stop may have been carried out all the same, so that what it knows of the
// lease is older than its own last write: then the lease is read again.
func (e *elector) giveUp(l *coordinationv1.Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for {
		var err error
		if l == nil {
			l, err = sdk.Get[*coordinationv1.Lease](ctx, e.Client, e.Namespace, e.Name)
		}
		if err == nil && holder(l) != e.Identity {
			return
		}
		if err == nil {
			l = l.DeepCopy()
			nobody, second, micro := "", int32(1), metav1.NewMicroTime(time.Now())
			l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &nobody, &second, &micro
			l, err = sdk.Update(ctx, e.Client, l)
		}
		switch {
		case err == nil:
			e.observe(l)
			return
		case !apierrors.IsConflict(err):
			e.log.Debug("lease not released", "error", err)
			return
		}
		l = nil
	}
}

func (e *elector) observe(l *coordinationv1.Lease) {
	if e.observed == nil || e.observed.ResourceVersion != l.ResourceVersion || e.observed.UID != l.UID {
		e.observed, e.observedAt = l, time.Now()
	}
}

func holder(l *coordinationv1.Lease) string {
	if l == nil || l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

func duration(l *coordinationv1.Lease) time.Duration {
	if l.Spec.LeaseDurationSeconds == nil {
		return 0
	}
	return time.Duration(*l.Spec.LeaseDurationSeconds) * time.Second
}
