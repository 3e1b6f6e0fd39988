package clientgo_test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientfeatures "k8s.io/client-go/features"
	featurestesting "k8s.io/client-go/features/testing"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/musterhq/muster/sdk"
)

const crowd = 10000

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{ours: oursValue}},
		Data:       map[string]string{"v": value},
	}
}

func makeOne(name string) sdk.Operation { return sdk.CreateOp(configMap(name, "first")) }

func changeOne(name string) sdk.Operation { return sdk.UpdateOp(configMap(name, "second")) }

func removeOne(name string) sdk.Operation {
	return sdk.DeleteOp[*corev1.ConfigMap]("default", name, sdk.DeleteOptions{})
}

// informed is an informer of our config maps, and what it tells.
type informed struct {
	*tale
	cache.SharedIndexInformer
	whole atomic.Int32 // answered requests for all that there is
}

// count counts what is asked for. A list from a version that is forgotten is refused,
// and asked for again without one.
func (i *informed) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		answer, err := next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		if q := r.URL.Query(); answer.StatusCode == http.StatusOK && (q.Get("watch") == "" || q.Get("sendInitialEvents") == "true") && q.Get("continue") == "" {
			i.whole.Add(1)
		}
		return answer, nil
	})
}

// inform runs an informer until the test ends.
func (c *cluster) inform(resync time.Duration) *informed {
	c.t.Helper()
	i := &informed{tale: newTale(c.t)}
	factory := informers.NewSharedInformerFactoryWithOptions(c.clients(clientHost, func(config *rest.Config) { config.Wrap(i.count) }), resync, informers.WithNamespace("default"),
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.LabelSelector = oursOnly }),
		informers.WithTransform(func(obj any) (any, error) {
			obj.(*corev1.ConfigMap).ManagedFields = nil
			return obj, nil
		}))
	i.SharedIndexInformer = factory.Core().V1().ConfigMaps().Informer()
	if _, err := i.AddEventHandler(i.tale); err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.t.Cleanup(func() {
		cancel()
		factory.Shutdown()
	})
	factory.StartWithContext(ctx)
	return i
}

// settled waits, in virtual time, until the informer has told of all that there is.
func (c *cluster) settled(i *informed) {
	c.t.Helper()
	list, err := c.clients(adminHost).CoreV1().ConfigMaps("default").List(c.t.Context(), metav1.ListOptions{LabelSelector: oursOnly})
	if err != nil {
		c.t.Fatal(err)
	}
	c.Eventually(2*time.Minute, func(context.Context) error {
		if name := i.differs(list.Items); name != "" || len(i.GetStore().ListKeys()) != len(list.Items) {
			return fmt.Errorf("of %d, the informer differs in %s", len(list.Items), name)
		}
		return nil
	})
}

// TestInformers follows ten thousand objects, listed by watching and in pages, while
// they change, over a server that is killed and a cable that is pulled for so long
// that the server has forgotten what changed.
func TestInformers(t *testing.T) {
	for _, byWatching := range []bool{true, false} {
		t.Run(fmt.Sprintf("WatchList=%t", byWatching), func(t *testing.T) {
			featurestesting.SetFeatureDuringTest(t, clientfeatures.WatchListClient, byWatching)
			inVirtualTime(t, follow)
		})
	}
}

func follow(t *testing.T, c *cluster) {
	c.do(many(0, crowd, makeOne)...)
	i := c.inform(0)
	c.do(many(0, 500, changeOne)...) // while it lists
	c.do(many(500, 700, removeOne)...)
	c.do(many(crowd, crowd+300, makeOne)...)
	c.settled(i)
	for name, m := range i.known {
		if m.ManagedFields != nil || m.Labels[ours] != oursValue {
			t.Fatalf("%s was not transformed, or not selected: %+v", name, m)
		}
	}
	if n := i.whole.Load(); n != 1 {
		t.Errorf("asked %d times for all that there is", n)
	}

	server := c.Servers[0]
	server.Kill()
	server.Start()
	server.WaitReady()
	c.do(many(0, 300, removeOne)...)
	c.do(many(0, 100, makeOne)...)
	c.settled(i)

	i.whole.Store(0)
	c.Net.Cut(clientHost)
	c.do(many(1000, 1300, removeOne)...)
	time.Sleep(8 * time.Minute)
	c.do(many(2000, 2300, changeOne)...)
	c.Net.Heal(clientHost)
	c.settled(i)
	if n := i.whole.Load(); n != 1 {
		t.Errorf("the server had forgotten what changed, and was asked %d times for all that there is", n)
	}
}

// TestResync has an informer hand out again all that it has, and asks the server
// nothing for it.
func TestResync(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, c *cluster) {
		c.do(many(0, 100, makeOne)...)
		i := c.inform(time.Minute)
		c.settled(i)
		i.whole.Store(0)
		time.Sleep(5*time.Minute + time.Second)
		synctest.Wait()
		i.mu.Lock()
		defer i.mu.Unlock()
		if n := i.whole.Load(); i.resyncs < 400 || i.resyncs > 600 || i.updates != 0 || n != 0 {
			t.Errorf("%d resyncs and %d updates of 100 objects in 5 minutes, with %d lists", i.resyncs, i.updates, n)
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
