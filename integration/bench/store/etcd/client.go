package etcd

import (
	"context"
	"errors"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	corev1 "k8s.io/api/core/v1"
)

// client keeps objects in etcd as Kubernetes does: under a path, in Kubernetes'
// protobuf encoding.
type client struct{ etcd *clientv3.Client }

func prefix(namespace string) string     { return "/registry/configmaps/" + namespace + "/" }
func path(namespace, name string) string { return prefix(namespace) + name }

func put(object *corev1.ConfigMap) (clientv3.Op, error) {
	return putAt(path(object.Namespace, object.Name), object)
}

func putAt(path string, object interface{ Marshal() ([]byte, error) }) (clientv3.Op, error) {
	value, err := object.Marshal()
	return clientv3.OpPut(path, string(value)), err
}

func decode(value []byte) error {
	var object corev1.ConfigMap
	return object.Unmarshal(value)
}

func (c *client) Prepare(context.Context, string) error { return nil }

func (c *client) Load(ctx context.Context, objects []*corev1.ConfigMap) error {
	ops := make([]clientv3.Op, 0, len(objects))
	for _, o := range objects {
		op, err := put(o)
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	_, err := c.etcd.Txn(ctx).Then(ops...).Commit()
	return err
}

func (c *client) LoadPods(ctx context.Context, pods []*corev1.Pod) error {
	ops := make([]clientv3.Op, 0, len(pods))
	for _, p := range pods {
		op, err := putAt("/registry/pods/"+p.Namespace+"/"+p.Name, p)
		if err != nil {
			return err
		}
		ops = append(ops, op)
	}
	_, err := c.etcd.Txn(ctx).Then(ops...).Commit()
	return err
}

func (c *client) Put(ctx context.Context, object *corev1.ConfigMap) error {
	op, err := put(object)
	if err != nil {
		return err
	}
	_, err = c.etcd.Do(ctx, op)
	return err
}

func (c *client) Get(ctx context.Context, namespace, name string) error {
	got, err := c.etcd.Get(ctx, path(namespace, name))
	if err != nil {
		return err
	}
	if len(got.Kvs) != 1 {
		return errors.New("get " + path(namespace, name) + ": not there")
	}
	return decode(got.Kvs[0].Value)
}

func (c *client) List(ctx context.Context, namespace string, limit int) (int, error) {
	got, err := c.etcd.Get(ctx, prefix(namespace), clientv3.WithPrefix(), clientv3.WithLimit(int64(limit)))
	if err != nil {
		return 0, err
	}
	for _, kv := range got.Kvs {
		if err := decode(kv.Value); err != nil {
			return 0, err
		}
	}
	return len(got.Kvs), nil
}

func (c *client) Watch(ctx context.Context, namespace string, ready func(), seen func(int)) error {
	for response := range c.etcd.Watch(ctx, prefix(namespace), clientv3.WithPrefix(), clientv3.WithCreatedNotify()) {
		if err := response.Err(); err != nil {
			return err
		}
		if response.Created {
			ready()
			continue
		}
		for _, event := range response.Events {
			if err := decode(event.Kv.Value); err != nil {
				return err
			}
		}
		seen(len(response.Events))
	}
	return ctx.Err()
}

// Tidy compacts, as an apiserver does every five minutes.
func (c *client) Tidy(ctx context.Context) error {
	now, err := c.etcd.Get(ctx, "ready")
	if err != nil {
		return err
	}
	if _, err = c.etcd.Compact(ctx, now.Header.Revision); errors.Is(err, rpctypes.ErrCompacted) {
		return nil // nothing was written since the last time
	}
	return err
}

func (c *client) Close() error { return c.etcd.Close() }
