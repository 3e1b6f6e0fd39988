package muster

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/sdk"
)

// client uses the SDK as any program does.
type client struct{ sdk *sdk.Client }

// ready reads what every cluster has, once it is there.
func (c *client) ready(ctx context.Context) error {
	w := sdk.Watch[*corev1.Namespace](ctx, c.sdk, sdk.WatchOptions{SendInitialEvents: true})
	defer w.Stop()
	for {
		events, err := w.Next()
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Type != sdk.Bookmark && e.Object.Name == metav1.NamespaceDefault {
				return nil
			}
		}
	}
}

func (c *client) Prepare(ctx context.Context, namespace string) error {
	_, err := sdk.Create(ctx, c.sdk, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	return err
}

func (c *client) Load(ctx context.Context, objects []*corev1.ConfigMap) error {
	ops := make([]sdk.Operation, 0, len(objects))
	for _, o := range objects {
		ops = append(ops, sdk.CreateOp(o))
	}
	_, err := c.sdk.Transact(ctx, ops...)
	return err
}

// LoadPods creates pods and then reports their status, as a node does.
func (c *client) LoadPods(ctx context.Context, pods []*corev1.Pod) error {
	var creates, statuses []sdk.Operation
	for _, p := range pods {
		creates = append(creates, sdk.CreateOp(p))
		p.UID = "" // the server gives it another one
		statuses = append(statuses, sdk.UpdateStatusOp(p))
	}
	if _, err := c.sdk.Transact(ctx, creates...); err != nil {
		return err
	}
	_, err := c.sdk.Transact(ctx, statuses...)
	return err
}

func (c *client) Put(ctx context.Context, object *corev1.ConfigMap) error {
	_, err := sdk.Update(ctx, c.sdk, object)
	return err
}

func (c *client) Get(ctx context.Context, namespace, name string) error {
	_, err := sdk.Get[*corev1.ConfigMap](ctx, c.sdk, namespace, name)
	return err
}

func (c *client) List(ctx context.Context, namespace string, limit int) (int, error) {
	page, err := sdk.List[*corev1.ConfigMap](ctx, c.sdk, sdk.ListOptions{Namespace: namespace, Limit: int64(limit)})
	if err != nil {
		return 0, err
	}
	return len(page.Items), nil
}

func (c *client) Watch(ctx context.Context, namespace string, ready func(), seen func(int)) error {
	w := sdk.Watch[*corev1.ConfigMap](ctx, c.sdk, sdk.WatchOptions{Namespace: namespace, SendInitialEvents: true})
	defer w.Stop()
	begun := false
	for {
		events, err := w.Next()
		if err != nil {
			return err
		}
		n := 0
		for _, e := range events {
			switch {
			case e.InitialEventsEnd && !begun:
				begun = true
				ready()
			case begun && e.Type != sdk.Bookmark:
				n++
			}
		}
		if n > 0 {
			seen(n)
		}
	}
}

// Tidy does nothing: the store bounds its history by itself.
func (c *client) Tidy(context.Context) error { return nil }

func (c *client) Close() error { return c.sdk.Close() }
