package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/utils/ptr"

	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/internal/pki"
	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
)

// readyTime is how long a healthy cluster may take for anything but evictions.
const readyTime = time.Minute

// types are the messages of all resources.
var types = []string{
	sdk.TypeNameOf[*corev1.Namespace](), sdk.TypeNameOf[*corev1.Node](), sdk.TypeNameOf[*corev1.Pod](),
	sdk.TypeNameOf[*corev1.Service](), sdk.TypeNameOf[*corev1.Endpoints](), sdk.TypeNameOf[*discoveryv1.EndpointSlice](),
	sdk.TypeNameOf[*corev1.ConfigMap](), sdk.TypeNameOf[*corev1.Secret](), sdk.TypeNameOf[*corev1.ServiceAccount](),
	sdk.TypeNameOf[*corev1.Event](), sdk.TypeNameOf[*coordinationv1.Lease](),
	sdk.TypeNameOf[*appsv1.Deployment](), sdk.TypeNameOf[*appsv1.ReplicaSet](),
}

// Leader returns the server that leads by what a majority says.
func (c *Cluster) Leader() *Server {
	c.t.Helper()
	var leader *Server
	c.Eventually(readyTime, func(ctx context.Context) error {
		votes := map[string]int{}
		for _, s := range c.Servers {
			if name, err := s.leader(ctx); err == nil {
				votes[name]++
			}
		}
		for _, s := range c.Servers {
			if 2*votes[s.Name] > len(c.Servers) {
				leader = s
				return nil
			}
		}
		return fmt.Errorf("nobody leads: %v", votes)
	})
	return leader
}

// leader is whom this server takes for the leader.
func (s *Server) leader(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	client := s.Client(clientHost)
	defer func() { _ = client.Close() }()
	resp, err := clusterv1.NewClusterServiceClient(client.Conn()).ListMembers(ctx, &clusterv1.ListMembersRequest{})
	if err != nil {
		return "", err
	}
	for _, m := range resp.GetMembers() {
		if m.GetLeader() {
			return m.GetId(), nil
		}
	}
	return "", errors.New("no leader is known")
}

// Holder returns the server that holds a lease of kube-system.
func (c *Cluster) Holder(lease string) *Server {
	c.t.Helper()
	var holder *Server
	c.Eventually(readyTime, func(ctx context.Context) error {
		l, err := sdk.Get[*coordinationv1.Lease](ctx, c.Client, "kube-system", lease)
		if err != nil {
			return err
		}
		for _, s := range c.Servers {
			if s.Name == ptr.Deref(l.Spec.HolderIdentity, "") {
				holder = s
				return nil
			}
		}
		return fmt.Errorf("nobody holds %s", lease)
	})
	return holder
}

// Client returns an administrator's client of this server alone, on a host. The
// caller closes it.
func (s *Server) Client(host string) *sdk.Client {
	return s.cluster.client(host, pki.AdminIdentity(), s)
}

// state is all that a member holds at one revision.
type state struct {
	revision string
	objects  []byte
}

// SameState waits until every member has the same revision, and fails when two
// hold different objects at it.
func (c *Cluster) SameState() {
	c.t.Helper()
	var clients []apiv1.ObjectServiceClient
	for _, s := range c.Servers {
		client := s.Client(clientHost)
		defer func() { _ = client.Close() }()
		clients = append(clients, apiv1.NewObjectServiceClient(client.Conn()))
	}
	c.Eventually(readyTime, func(ctx context.Context) error {
		var first state
		for i, client := range clients {
			now, err := read(ctx, client)
			if err != nil {
				return fmt.Errorf("%s: %w", c.Servers[i].Name, err)
			}
			if i == 0 {
				first = now
			}
			if first.revision != now.revision {
				return fmt.Errorf("%s is at revision %s, %s at %s", c.Servers[0].Name, first.revision, c.Servers[i].Name, now.revision)
			}
			if !bytes.Equal(first.objects, now.objects) {
				c.t.Fatalf("%s and %s hold different objects at revision %s", c.Servers[0].Name, c.Servers[i].Name, now.revision)
			}
		}
		return nil
	})
}

// read lists everything, again and again until nothing was written meanwhile.
func read(ctx context.Context, client apiv1.ObjectServiceClient) (state, error) {
	var s state
	for i := 0; i < len(types); i++ {
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		resp, err := client.List(attempt, &apiv1.ListRequest{Type: types[i]})
		cancel()
		if err != nil {
			return state{}, err
		}
		if i > 0 && resp.GetResourceVersion() != s.revision {
			s, i = state{}, -1
			continue
		}
		s.revision = resp.GetResourceVersion()
		for _, object := range resp.GetObjects() {
			s.objects = append(s.objects, object.GetValue()...)
		}
	}
	return s, nil
}

// Settled waits until every deployment has what it asks for, every pod runs
// exactly once on the node it is bound to, and nothing else runs anywhere.
func (c *Cluster) Settled(within time.Duration) {
	c.t.Helper()
	c.Eventually(within, func(ctx context.Context) error {
		deployments, err := sdk.List[*appsv1.Deployment](ctx, c.Client, sdk.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range deployments.Items {
			if st, want := d.Status, *d.Spec.Replicas; st.ObservedGeneration != d.Generation || st.Replicas != want ||
				st.UpdatedReplicas != want || st.AvailableReplicas != want {
				return fmt.Errorf("deployment %s wants %d: %d pods, %d updated, %d available",
					d.Name, want, st.Replicas, st.UpdatedReplicas, st.AvailableReplicas)
			}
		}
		if err := c.onlyDesired(ctx, deployments.Items); err != nil {
			return err
		}
		return c.onceEach(ctx)
	})
}

// onlyDesired compares the pods that there are with what deployments ask for.
func (c *Cluster) onlyDesired(ctx context.Context, deployments []*appsv1.Deployment) error {
	for _, d := range deployments {
		pods, err := c.Pods(ctx, d.Spec.Selector.MatchLabels["app"])
		if err != nil {
			return err
		}
		if len(pods) != int(*d.Spec.Replicas) {
			return fmt.Errorf("deployment %s wants %d pods and has %d", d.Name, *d.Spec.Replicas, len(pods))
		}
	}
	return nil
}

// onceEach compares the cluster's pods with what the nodes run.
func (c *Cluster) onceEach(ctx context.Context) error {
	page, err := sdk.List[*corev1.Pod](ctx, c.Client, sdk.ListOptions{})
	if err != nil {
		return err
	}
	bound := map[string]string{} // uid to node
	for _, p := range page.Items {
		if p.Status.Phase != corev1.PodRunning || p.DeletionTimestamp != nil {
			return fmt.Errorf("pod %s is %s, deleted %v", p.Name, p.Status.Phase, p.DeletionTimestamp)
		}
		bound[string(p.UID)] = p.Spec.NodeName
	}
	for _, n := range c.Nodes {
		pods, err := n.Runtime.Pods(ctx)
		if err != nil {
			return err
		}
		for _, p := range pods {
			if bound[p.Sandbox.PodUID] != n.Name {
				return fmt.Errorf("%s runs %s, which is bound to %q", n.Name, p.Sandbox.Name, bound[p.Sandbox.PodUID])
			}
			if len(p.Containers) != 1 || p.Containers[0].State != runtime.Running {
				return fmt.Errorf("%s on %s has containers %+v", p.Sandbox.Name, n.Name, p.Containers)
			}
			delete(bound, p.Sandbox.PodUID)
		}
		if n.Pods.Addresses() != len(pods) {
			return fmt.Errorf("%s has %d pods and %d addresses", n.Name, len(pods), n.Pods.Addresses())
		}
	}
	if len(bound) > 0 {
		return fmt.Errorf("pods that no node runs: %v", bound)
	}
	return nil
}
