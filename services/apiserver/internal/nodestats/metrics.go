package nodestats

import (
	"fmt"
	"strconv"
	"strings"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
)

// metric is one of kubelet's, in Prometheus' text format.
type metric struct {
	name, kind, help string
	value            func(*agentv1.Usage) float64
	// start tells that it is no measurement, and so has no time.
	start bool
}

func cpuSeconds(u *agentv1.Usage) float64 { return float64(u.GetCpuNanoseconds()) / 1e9 }
func workingSet(u *agentv1.Usage) float64 { return float64(u.GetWorkingSetBytes()) }
func startSeconds(u *agentv1.Usage) float64 {
	return float64(u.GetStart().AsTime().UnixMilli()) / 1e3
}

// metrics of each thing that is measured, as kubelet names them and in its order.
var (
	containerMetrics = []metric{
		{"container_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the container in core-seconds", cpuSeconds, false},
		{"container_memory_working_set_bytes", "gauge", "Current working set of the container in bytes", workingSet, false},
		{"container_start_time_seconds", "gauge", "Start time of the container since unix epoch in seconds", startSeconds, true},
	}
	nodeMetrics = []metric{
		{"node_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the node in core-seconds", cpuSeconds, false},
		{"node_memory_working_set_bytes", "gauge", "Current working set of the node in bytes", workingSet, false},
	}
	podMetrics = []metric{
		{"pod_cpu_usage_seconds_total", "counter", "Cumulative cpu time consumed by the pod in core-seconds", cpuSeconds, false},
		{"pod_memory_working_set_bytes", "gauge", "Current working set of the pod in bytes", workingSet, false},
	}
)

// sample is a thing that was measured, and the labels by which it is known.
type sample struct {
	labels string
	usage  *agentv1.Usage
}

// Metrics is what kubelet answers at /metrics/resource.
func Metrics(u *agentv1.UsageResponse) string {
	var containers, pods []sample
	for _, p := range u.GetPods() {
		at := fmt.Sprintf("namespace=%q,pod=%q", p.GetNamespace(), p.GetName())
		pods = append(pods, sample{"{" + at + "}", p.GetUsage()})
		for _, c := range p.GetContainers() {
			containers = append(containers, sample{fmt.Sprintf("{container=%q,%s}", c.GetName(), at), c.GetUsage()})
		}
	}
	var b strings.Builder
	write(&b, containerMetrics, containers)
	write(&b, nodeMetrics, []sample{{"", u.GetNode()}})
	write(&b, podMetrics, pods)
	b.WriteString("# HELP resource_scrape_error [STABLE] 1 if there was an error while getting container metrics, 0 otherwise\n" +
		"# TYPE resource_scrape_error gauge\nresource_scrape_error 0\n")
	return b.String()
}

func write(b *strings.Builder, metrics []metric, samples []sample) {
	if len(samples) == 0 {
		return
	}
	for _, m := range metrics {
		fmt.Fprintf(b, "# HELP %s [STABLE] %s\n# TYPE %s %s\n", m.name, m.help, m.name, m.kind)
		for _, s := range samples {
			fmt.Fprintf(b, "%s%s %s", m.name, s.labels, strconv.FormatFloat(m.value(s.usage), 'g', -1, 64))
			if !m.start {
				fmt.Fprintf(b, " %d", s.usage.GetTime().AsTime().UnixMilli())
			}
			b.WriteByte('\n')
		}
	}
}
