package objects_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/musterhq/muster/internal/quota"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// counted is a replica that takes its time, as a quorum does, and after each
// transaction compares what quotas say with what there is.
type counted struct {
	*objectstest.Replica
	kinds *registry.Table
	took  time.Duration

	mu     sync.Mutex
	rounds int
	wrong  []string
}

func (c *counted) Apply(ctx context.Context, tx *storev1.Transaction) (*storev1.Result, error) {
	time.Sleep(c.took)
	c.mu.Lock()
	defer c.mu.Unlock()
	result, err := c.Replica.Apply(ctx, tx)
	if err == nil {
		c.rounds++
		c.compare()
	}
	return result, err
}

func (c *counted) ApplyAll(ctx context.Context, txs []*storev1.Transaction) []replica.Outcome {
	outcomes := make([]replica.Outcome, len(txs))
	for i, tx := range txs {
		outcomes[i].Result, outcomes[i].Err = c.Apply(ctx, tx)
	}
	return outcomes
}

func (c *counted) compare() {
	view := c.Store().View()
	for e := range view.List(quota.Resource, "default") {
		q := &corev1.ResourceQuota{}
		if err := q.Unmarshal(e.Value()); err != nil {
			c.wrong = append(c.wrong, err.Error())
			continue
		}
		if !quota.Current(q) {
			continue
		}
		used, err := quota.Measure(q, there{c.kinds, view})
		if err != nil || !maps.EqualFunc(used, q.Status.Used, func(a, b resource.Quantity) bool { return a.Cmp(b) == 0 }) {
			c.wrong = append(c.wrong, fmt.Sprintf("revision %d: quota says %v, there is %v (%v)", view.Revision(), q.Status.Used, used, err))
		}
		for name, hard := range q.Spec.Hard {
			if now := used[name]; now.Cmp(hard) > 0 {
				c.wrong = append(c.wrong, fmt.Sprintf("revision %d: %s of %s used, %s allowed", view.Revision(), now.String(), name, hard.String()))
			}
		}
	}
}

type there struct {
	kinds *registry.Table
	view  state.View
}

func (h there) Count(resource string) (int64, error) {
	n := 0
	for range h.view.List(resource, "default") {
		n++
	}
	return int64(n), nil
}

func (h there) Each(resource string, each func(runtime.Object)) error {
	k, _ := h.kinds.ByStoreResource(resource)
	for e := range h.view.List(resource, "default") {
		obj := k.New()
		if err := obj.Unmarshal(e.Value()); err != nil {
			return err
		}
		each(obj)
	}
	return nil
}

// overCounted returns a service over a replica whose transactions take a while.
func overCounted(t *testing.T, took time.Duration) (*objects.Service, *counted) {
	t.Helper()
	c := &counted{Replica: objectstest.NewReplica(), kinds: catalog.New(registry.Options{}), took: took}
	s, err := objects.New(objects.Config{Kinds: c.kinds, Replica: c})
	if err != nil {
		t.Fatal(err)
	}
	create(t, s, "Namespace", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default"}})
	return s, c
}

func hard(values map[corev1.ResourceName]string) *corev1.ResourceQuota {
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "q"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{}}}
	for name, value := range values {
		q.Spec.Hard[name] = resource.MustParse(value)
	}
	return q
}

func asking(name, cpu string) *corev1.Pod {
	pod := labelledPod(name, nil)
	pod.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}
	return pod
}

// What is used of a quota equals what is there at every revision, and is never more
// than allowed, whatever many clients do at once.
func TestQuotaIsExact(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			s, c := overCounted(t, time.Millisecond)
			create(t, s, "Pod", asking("before", "100m"))
			var clients sync.WaitGroup
			for i := range 8 {
				clients.Go(func() { disturb(t, s, rand.New(rand.NewPCG(seed, uint64(i))), i) })
			}
			// While they are at it.
			create(t, s, "ResourceQuota", hard(map[corev1.ResourceName]string{
				"pods": "12", "requests.cpu": "2", "count/configmaps": "15", "services": "6", "services.nodeports": "4"}))
			clients.Wait()
			if len(c.wrong) > 0 {
				t.Errorf("seed %d: %d times wrong, first: %s", seed, len(c.wrong), c.wrong[0])
			}
		})
	}
}

// disturb makes 60 random changes.
func disturb(t *testing.T, s *objects.Service, random *rand.Rand, client int) {
	for n := range 60 {
		name := fmt.Sprintf("%d-%d", client, random.IntN(6))
		var err error
		switch random.IntN(9) {
		case 0, 1:
			_, err = s.Create(admin, target(t, s, "Pod", ""), asking("p"+name, fmt.Sprintf("%dm", 100+random.IntN(300))), false)
		case 2:
			_, err = s.Delete(admin, target(t, s, "Pod", "p"+name), metav1.DeleteOptions{})
		case 3:
			pod := asking("p"+name, "100m")
			pod.Status.Phase = corev1.PodSucceeded
			to := target(t, s, "Pod", "p"+name)
			to.Subresource = "status"
			_, err = s.Update(admin, to, pod, false)
		case 4:
			_, err = s.Create(admin, target(t, s, "ConfigMap", ""), configMap("c"+name, nil), random.IntN(2) == 0)
		case 5:
			_, err = s.Delete(admin, target(t, s, "ConfigMap", "c"+name), metav1.DeleteOptions{})
		case 6:
			err = changeService(t, s, random, "s"+name)
		case 7:
			_, err = s.Transact(admin, []objects.Change{
				{Target: target(t, s, "ConfigMap", ""), Create: configMap(fmt.Sprintf("t%s-%d", name, n), nil)},
				{Target: target(t, s, "Pod", ""), Create: asking(fmt.Sprintf("t%s-%d", name, n), "50m")},
			}, false)
		case 8:
			s.Each(admin, []objects.Change{
				{Target: target(t, s, "Pod", ""), Create: asking("e"+name, "10m")},
				{Target: target(t, s, "Pod", "e"+name), Delete: &metav1.DeleteOptions{}},
			}, func(...objects.Answer) {})
		}
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsAlreadyExists(err) &&
			!(apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota: q, requested: ")) {
			t.Errorf("client %d: %v", client, err)
		}
	}
}

func changeService(t *testing.T, s *objects.Service, random *rand.Rand, name string) error {
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: corev1.ServiceSpec{
		Selector: map[string]string{"a": "b"}, Ports: []corev1.ServicePort{{Port: 80}}}}
	if random.IntN(2) == 0 {
		service.Spec.Type = corev1.ServiceTypeNodePort
	}
	_, err := s.Create(admin, target(t, s, "Service", ""), service, false)
	if apierrors.IsAlreadyExists(err) && random.IntN(2) == 0 {
		_, err = s.Update(admin, target(t, s, "Service", name), service, false)
	} else if apierrors.IsAlreadyExists(err) {
		_, err = s.Delete(admin, target(t, s, "Service", name), metav1.DeleteOptions{})
	}
	return err
}

// Sixty-four callers at once in a namespace with a quota take few transactions and
// none of them fails: they go together.
func TestQuotaUnderContention(t *testing.T) {
	const callers, each = 64, 10
	synctest.Test(t, func(t *testing.T) {
		s, c := overCounted(t, 2*time.Millisecond)
		create(t, s, "ResourceQuota", hard(map[corev1.ResourceName]string{"pods": "600"}))
		begun, before := time.Now(), c.rounds
		var all sync.WaitGroup
		refused := make([]int, callers)
		for i := range callers {
			all.Go(func() {
				for n := range each {
					_, err := s.Create(admin, target(t, s, "Pod", ""), labelledPod(fmt.Sprintf("p-%d-%d", i, n), nil), false)
					if apierrors.IsForbidden(err) {
						refused[i]++
					} else if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		sum := 0
		for _, n := range refused {
			sum += n
		}
		if sum != callers*each-600 || len(c.wrong) > 0 {
			t.Errorf("%d of %d were refused, wrong %v", sum, callers*each, c.wrong)
		}
		if rounds := c.rounds - before; rounds > 2*each+5 {
			t.Errorf("%d transactions for %d pods of %d callers", rounds, callers*each, callers)
		}
		t.Logf("%d transactions, %v", c.rounds-before, time.Since(begun))
	})
}

// What is large goes alone, and all of it goes.
func TestLargeChangesUnderQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := overCounted(t, time.Millisecond)
		create(t, s, "ResourceQuota", hard(map[corev1.ResourceName]string{"count/configmaps": "20"}))
		before := c.rounds
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				large := configMap(fmt.Sprint("large-", i), map[string]string{"k": strings.Repeat("x", 400<<10)})
				if _, err := s.Create(admin, target(t, s, "ConfigMap", ""), large, false); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if rounds := c.rounds - before; rounds < 10 || len(c.wrong) > 0 {
			t.Errorf("%d transactions, wrong %v", rounds, c.wrong)
		}
	})
}
