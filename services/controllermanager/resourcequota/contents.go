package resourcequota

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/services/controllermanager/internal/kinds"
)

// contents is a namespace as the server has it.
type contents struct {
	ctx       context.Context
	client    *sdk.Client
	namespace string
}

// Count implements quota.Objects. A resource that there is not has no objects.
func (c contents) Count(resource string) (int64, error) {
	all, err := kinds.All(c.ctx, c.client)
	if err != nil {
		return 0, err
	}
	for _, k := range all {
		if (schema.GroupResource{Group: k.Group, Resource: k.Resource}).String() != resource {
			continue
		}
		page, err := sdk.MetadataOf(c.client, k.Type).List(c.ctx, sdk.ListOptions{Namespace: c.namespace, Limit: 1})
		if err != nil {
			return 0, err
		}
		return int64(len(page.Items)) + page.Remaining, nil
	}
	return 0, nil
}

// whole has those resources whose objects are looked at.
var whole = map[string]func(contents, func(runtime.Object)) error{
	"pods": each[*corev1.Pod], "services": each[*corev1.Service], "persistentvolumeclaims": each[*corev1.PersistentVolumeClaim],
}

// Each implements quota.Objects.
func (c contents) Each(resource string, do func(runtime.Object)) error {
	all, ok := whole[resource]
	if !ok {
		return fmt.Errorf("nothing is known of the objects of %s", resource)
	}
	return all(c, do)
}

func each[T sdk.Object](c contents, do func(runtime.Object)) error {
	for obj, err := range sdk.All[T](c.ctx, c.client, sdk.ListOptions{Namespace: c.namespace}) {
		if err != nil {
			return err
		}
		do(obj)
	}
	return nil
}
