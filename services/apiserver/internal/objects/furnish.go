package objects

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// rootCADescription is what Kubernetes writes beside the certificates.
const rootCADescription = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints " +
	"such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."

// furnish adds to the plan what every namespace holds, so that a pod can be made in
// it the moment after: its default service account and the cluster's certificates.
// The namespace controller sees to it that they stay.
func (s *Service) furnish(p *plan, namespace string) error {
	things := []registry.Object{&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "default"}}}
	if len(s.rootCA) > 0 {
		things = append(things, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: namespace, Name: "kube-root-ca.crt",
				Annotations: map[string]string{"kubernetes.io/description": rootCADescription},
			},
			Data: map[string]string{"ca.crt": string(s.rootCA)},
		})
	}
	for i, resource := range []string{"serviceaccounts", "configmaps"}[:len(things)] {
		k, ok := s.kinds.ByStoreResource(resource)
		key := state.Key{Resource: resource, Namespace: namespace, Name: things[i].GetName()}
		if _, there := p.get(key); !ok || there {
			continue
		}
		s.fields.Update(k, "", nil, things[i], ownManager, p.now)
		if err := p.provide(k, key, things[i]); err != nil {
			return err
		}
	}
	return nil
}

// provide creates an object that a later step may create, too: then that one counts.
func (p *plan) provide(k *registry.Kind, key state.Key, obj registry.Object) error {
	prepareNew(k, obj, uuid.NewUUID(), p.now)
	addFinalizers(k, obj)
	prepareCreate(k, obj, p.now)
	value, err := encode(k, obj)
	if err != nil {
		return err
	}
	if _, err := p.create(key, p.put(k, obj, value)); err != nil {
		return err
	}
	p.provided.add(key)
	return nil
}
