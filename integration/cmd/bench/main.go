// Command bench measures the main job on this machine: how soon a cluster is
// ready, how soon a pod answers by its name, and how soon a pod runs.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/musterhq/muster/integration/bench/report"
	"github.com/musterhq/muster/integration/harness"
)

func main() {
	clusters := flag.Int("clusters", 5, "clusters to start, one after the other")
	pods := flag.Int("pods", 30, "pods to apply, one after the other")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *clusters, *pods); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, clusters, pods int) error {
	if err := harness.RequireRoot(); err != nil {
		return err
	}
	var ready, answered, running []time.Duration
	for i := range clusters {
		fmt.Fprintf(os.Stderr, "cluster %d of %d\n", i+1, clusters)
		n := 0
		if i == clusters-1 {
			n = pods
		}
		if err := one(ctx, n, &ready, &answered, &running); err != nil {
			return err
		}
	}
	rows := []report.Row{
		report.New("dev-up/servers=3/nodes=2/ready/p50", report.Quantile(ready, 0.5), "ms", 5000),
		report.New("dev-up/servers=3/nodes=2/ready/max", report.Quantile(ready, 1), "ms", 5000),
		report.New("dev-up/whoami-answers-by-name/p50", report.Quantile(answered, 0.5), "ms", 10000),
		report.New("dev-up/whoami-answers-by-name/max", report.Quantile(answered, 1), "ms", 10000),
		report.New("apply-to-running/pods=1/p50", report.Quantile(running, 0.5), "ms", 400),
		report.New("apply-to-running/pods=1/p90", report.Quantile(running, 0.9), "ms", 400),
	}
	fmt.Println("peer is the target; a ratio below 1 is better than it")
	return report.Write(os.Stdout, filepath.Join(harness.Root(), "build", "bench"), "main-job", rows)
}

// one starts a cluster, measures it and ends it.
func one(ctx context.Context, pods int, ready, answered, running *[]time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	start := time.Now()
	c, err := harness.Up(ctx, fmt.Sprintf("bench%d", os.Getpid()), filepath.Join(dir, "cluster"), 3, 2)
	defer func() {
		if e := c.Down(context.WithoutCancel(ctx)); err == nil {
			err = e
		}
	}()
	if err != nil {
		return err
	}
	*ready = append(*ready, time.Since(start))
	if err := c.LoadImages(ctx); err != nil {
		return err
	}
	if err := answersByName(ctx, c); err != nil {
		return err
	}
	*answered = append(*answered, time.Since(start))
	for i := range pods {
		took, err := applyToRunning(ctx, c, fmt.Sprintf("bench-%d", i))
		if err != nil {
			return err
		}
		*running = append(*running, took)
	}
	return nil
}

// answersByName applies the examples, asks the node's DNS for the Service's
// address and the address for an answer, until there is one.
func answersByName(ctx context.Context, c *harness.Cluster) error {
	examples := filepath.Join(harness.Root(), "deploy", "examples")
	if _, err := c.Kubectl(ctx, harness.OwnKubectl(), "", "apply", "-f", examples); err != nil {
		return err
	}
	const ask = `set -e
ip=$(busybox nslookup whoami-clusterip.default.svc.cluster.local 10.96.0.10 | sed -n 's/^Address[ 0-9]*: *\(10\.[0-9.]*\)$/\1/p' | tail -n 1)
curl -sS --max-time 1 "http://$ip:8080"`
	return harness.Eventually(ctx, 30*time.Second, func() error {
		out, err := c.Exec(ctx, "node1", "sh", "-c", ask)
		if err == nil && !strings.HasPrefix(out, "I'm ") {
			return fmt.Errorf("answered %q", out)
		}
		return err
	})
}
