// Package fleet pretends to be many nodes, for benchmarks of what the control plane
// does with them. Its agents answer the node monitor's probes, over TLS and with the
// certificate of a node; they run no pods.
package fleet

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/version"
	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// firstPort is the first agent's, below those that the kernel gives to clients.
const firstPort = 20000

// Fleet is the agents of many nodes at one address, told apart by their ports.
type Fleet struct {
	address netip.Addr
	server  []*grpc.Server
	serving sync.WaitGroup
}

// Start makes nodes by an administrator's client; their agents serve at the address,
// which the servers must reach, with the certificate that the token gets.
func Start(ctx context.Context, client kubernetes.Interface, token string, address netip.Addr, nodes int) (*Fleet, error) {
	parsed, err := join.ParseToken(token)
	if err != nil {
		return nil, err
	}
	granted, err := join.Join(ctx, join.Request{Token: parsed, Role: clusterv1.CertificateRole_CERTIFICATE_ROLE_NODE, Name: name(0)})
	if err != nil {
		return nil, err
	}
	f := &Fleet{address: address}
	config := granted.KeyPair.ServerTLS(tls.RequireAndVerifyClientCert, "h2")
	for i := range nodes {
		if err := f.serve(i, config); err != nil {
			return nil, errors.Join(err, f.Stop())
		}
	}
	group, grouped := errgroup.WithContext(ctx)
	group.SetLimit(32)
	for i := range nodes {
		group.Go(func() error {
			_, err := client.CoreV1().Nodes().Create(grouped, f.node(i), metav1.CreateOptions{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, errors.Join(err, f.Stop())
	}
	return f, nil
}

// Stop ends all agents, as if the machines were there and the agents were not.
func (f *Fleet) Stop() error {
	for _, s := range f.server {
		s.Stop()
	}
	f.serving.Wait()
	return nil
}

func (f *Fleet) serve(i int, config *tls.Config) error {
	listener, err := net.Listen("tcp", net.JoinHostPort(f.address.String(), fmt.Sprint(firstPort+i)))
	if err != nil {
		return fmt.Errorf("agent of %s: %w", name(i), err)
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	agentv1.RegisterAgentServiceServer(server, agent{node: name(i)})
	f.server = append(f.server, server)
	f.serving.Go(func() { _ = server.Serve(listener) }) // it ends with Stop
	return nil
}

// agent is one node's. It is always ready.
type agent struct {
	agentv1.UnimplementedAgentServiceServer
	node string
}

// Ping answers a probe.
func (a agent) Ping(context.Context, *agentv1.PingRequest) (*agentv1.PingResponse, error) {
	return &agentv1.PingResponse{Node: a.node, BootId: a.node, Ready: true}, nil
}

func name(i int) string { return fmt.Sprintf("fleet-%04d", i) }

// node is a machine of 32 cores.
func (f *Fleet) node(i int) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods: resource.MustParse("250"),
	}
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name(i), Labels: map[string]string{
			corev1.LabelHostname: name(i), corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
			corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", i%3),
		}},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: f.address.String()}, {Type: corev1.NodeHostName, Address: name(i)},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(firstPort + i)}},
			NodeInfo:        corev1.NodeSystemInfo{KubeletVersion: version.Kubernetes(version.Version)},
		},
	}
}

// WaitReady waits until the node monitor found all nodes ready.
func WaitReady(ctx context.Context, client kubernetes.Interface, nodes int) error {
	watched, err := client.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	defer watched.Stop()
	ready := map[string]bool{}
	for len(ready) < nodes {
		select {
		case e, open := <-watched.ResultChan():
			node, ok := e.Object.(*corev1.Node)
			if !open || !ok {
				return fmt.Errorf("wait for %d nodes: the watch ended with %v", nodes, e.Object)
			}
			if usable(node) {
				ready[node.Name] = true
			} else {
				delete(ready, node.Name)
			}
		case <-ctx.Done():
			return fmt.Errorf("wait for %d nodes: %d are ready: %w", nodes, len(ready), context.Cause(ctx))
		}
	}
	return nil
}

func usable(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue && len(node.Spec.Taints) == 0
		}
	}
	return false
}
