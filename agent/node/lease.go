package node

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
)

// A node's Lease is for those who look at it (kubectl describe node): nobody here
// judges a node by it, gossip and sessions do that within seconds. So it is
// renewed rarely, and no heartbeat goes through consensus.
const (
	renewInterval = 5 * time.Minute
	leaseDuration = 3 * renewInterval
)

// renew writes the Lease, which goes away with its Node.
func (r *Registrar) renew(ctx context.Context) error {
	now := metav1.NowMicro()
	seconds := int32(leaseDuration / time.Second)
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: r.cfg.Name, OwnerReferences: []metav1.OwnerReference{{
			APIVersion: "v1", Kind: "Node", Name: r.cfg.Name, UID: r.uid,
		}}},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &r.cfg.Name, LeaseDurationSeconds: &seconds, RenewTime: &now},
	}
	_, err := sdk.MergePatch[*coordinationv1.Lease](ctx, r.cfg.Client, lease.Namespace, lease.Name, "", map[string]any{
		"metadata": map[string]any{"ownerReferences": lease.OwnerReferences}, "spec": lease.Spec,
	})
	if apierrors.IsNotFound(err) {
		_, err = sdk.Create(ctx, r.cfg.Client, lease)
	}
	if err != nil {
		return fmt.Errorf("renew lease of node %s: %w", r.cfg.Name, err)
	}
	return nil
}
