package api

import (
	"context"
	"fmt"
	"io"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/musterhq/muster/integration/bench/load"
	"github.com/musterhq/muster/integration/bench/process"
	"github.com/musterhq/muster/integration/bench/report"
)

// listPeer is what Kubernetes takes for a list of 10,000 pods, in ms: read and not
// decoded, decoded by client-go, and in pages of 500.
type listPeer struct{ read, whole, paged float64 }

// lists reads all pods at once and in pages, by one caller.
func lists(contentType string, k listPeer) measure {
	return func(ctx context.Context, b *bed) ([]Figure, error) {
		clients, err := b.clients(contentType)
		if err != nil {
			return nil, err
		}
		if err := b.fill(ctx); err != nil {
			return nil, err
		}
		var out []Figure
		for _, l := range []struct {
			suffix string
			list   func(context.Context, kubernetes.Interface, string) (int, error)
			peer   float64
		}{{"/read", readList, k.read}, {"/whole", wholeList, k.whole}, {"/by=500", pagedList, k.paged}} {
			size := 0
			o, err := b.generate(ctx, 1, func(ctx context.Context, _, _ int) error {
				size, err = l.list(ctx, clients[0], contentType)
				return err
			})
			if err != nil {
				return nil, err
			}
			out = append(out, Figure{Suffix: l.suffix, Unit: "ms", Value: report.Quantile(o.Latencies, 0.5), Kubernetes: l.peer},
				Figure{Suffix: l.suffix + "/cpu", Unit: "ms", Value: o.servers.Seconds() * 1e3 / float64(len(o.Latencies))})
			if l.suffix == "/read" {
				out = append(out, Figure{Suffix: "/size", Unit: "MB", Value: float64(size) / 1e6})
			}
		}
		return out, nil
	}
}

func readList(ctx context.Context, client kubernetes.Interface, contentType string) (int, error) {
	body, err := client.CoreV1().RESTClient().Get().Namespace(filled).Resource("pods").SetHeader("Accept", contentType).Stream(ctx)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n, err := io.Copy(io.Discard, body)
	return int(n), err
}

func wholeList(ctx context.Context, client kubernetes.Interface, _ string) (int, error) {
	list, err := client.CoreV1().Pods(filled).List(ctx, metav1.ListOptions{})
	if err == nil && len(list.Items) != podCount {
		err = fmt.Errorf("listed %d pods, not %d", len(list.Items), podCount)
	}
	return podCount, err
}

func pagedList(ctx context.Context, client kubernetes.Interface, _ string) (int, error) {
	n, next := 0, ""
	for {
		list, err := client.CoreV1().Pods(filled).List(ctx, metav1.ListOptions{Limit: 500, Continue: next})
		if err != nil {
			return n, err
		}
		n += len(list.Items)
		if next = list.Continue; next == "" {
			break
		}
	}
	if n != podCount {
		return n, fmt.Errorf("listed %d pods, not %d", n, podCount)
	}
	return n, nil
}

// deleteCollection deletes all pods by one call.
func deleteCollection(ctx context.Context, b *bed) ([]Figure, error) {
	clients, err := b.clients(asProtobuf)
	if err != nil {
		return nil, err
	}
	if err := b.fill(ctx); err != nil {
		return nil, err
	}
	begin, used := time.Now(), b.used()
	now := int64(0)
	if err := clients[0].CoreV1().Pods(filled).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{}); err != nil {
		return nil, err
	}
	took := time.Since(begin)
	left, err := clients[0].CoreV1().Pods(filled).List(ctx, metav1.ListOptions{Limit: 1})
	if err == nil && len(left.Items) > 0 {
		err = fmt.Errorf("pods are left, %s among them", left.Items[0].Name)
	}
	return []Figure{
		{Unit: "s", Value: took.Seconds(), Kubernetes: 47},
		{Suffix: "/cpu", Unit: "s", Value: (b.used() - used).Seconds()},
	}, err
}

const (
	// settle is the time after its start in which a cluster comes to rest, rest how
	// long it is looked at then.
	settle, resting = 20 * time.Second, 30 * time.Second
	mega            = 1e6
)

// idle looks at an empty cluster that nobody calls.
func idle(ctx context.Context, b *bed) ([]Figure, error) { return atRest(ctx, b, 456, 2.2) }

// atRest looks at a cluster that comes to rest; the peers' are MB of memory, and
// seconds of processor time a minute.
func atRest(ctx context.Context, b *bed, memory, perMinute float64) ([]Figure, error) {
	if err := load.Pause(ctx, settle); err != nil {
		return nil, err
	}
	used := b.used()
	if err := load.Pause(ctx, resting); err != nil {
		return nil, err
	}
	share := (b.used() - used).Seconds() / resting.Seconds()
	resident, err := process.Resident(b.servers[0].pid)
	return []Figure{
		{Suffix: "/resident", Unit: "MB", Value: float64(resident) / mega, Kubernetes: memory},
		{Suffix: "/cpu", Unit: "% of a core", Value: 100 * share, Kubernetes: 100 * perMinute / 60},
	}, err
}
