package nodestats_test

import (
	"encoding/json"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
	"github.com/musterhq/muster/services/apiserver/internal/nodestats"
)

func usage(cpu time.Duration, memory uint64) *agentv1.Usage {
	return &agentv1.Usage{
		Time: timestamppb.New(time.Unix(200, 0)), Start: timestamppb.New(time.Unix(100, 5e8)),
		CpuNanoseconds: uint64(cpu), MemoryBytes: memory + 10, WorkingSetBytes: memory,
	}
}

var used = &agentv1.UsageResponse{
	Node: usage(time.Minute, 1<<30),
	Pods: []*agentv1.PodUsage{{
		Namespace: "default", Name: "web", Uid: "u", Usage: usage(1500*time.Millisecond, 2000),
		Containers: []*agentv1.ContainerUsage{{Name: "main", Usage: usage(time.Second, 1000)}},
	}},
}

// The lines are those of kubelet's own tests of /metrics/resource.
func TestMetrics(t *testing.T) {
	want := `# HELP container_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the container in core-seconds
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="main",namespace="default",pod="web"} 1 200000
# HELP container_memory_working_set_bytes [STABLE] Current working set of the container in bytes
# TYPE container_memory_working_set_bytes gauge
container_memory_working_set_bytes{container="main",namespace="default",pod="web"} 1000 200000
# HELP container_start_time_seconds [STABLE] Start time of the container since unix epoch in seconds
# TYPE container_start_time_seconds gauge
container_start_time_seconds{container="main",namespace="default",pod="web"} 100.5
# HELP node_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the node in core-seconds
# TYPE node_cpu_usage_seconds_total counter
node_cpu_usage_seconds_total 60 200000
# HELP node_memory_working_set_bytes [STABLE] Current working set of the node in bytes
# TYPE node_memory_working_set_bytes gauge
node_memory_working_set_bytes 1.073741824e+09 200000
# HELP pod_cpu_usage_seconds_total [STABLE] Cumulative cpu time consumed by the pod in core-seconds
# TYPE pod_cpu_usage_seconds_total counter
pod_cpu_usage_seconds_total{namespace="default",pod="web"} 1.5 200000
# HELP pod_memory_working_set_bytes [STABLE] Current working set of the pod in bytes
# TYPE pod_memory_working_set_bytes gauge
pod_memory_working_set_bytes{namespace="default",pod="web"} 2000 200000
# HELP resource_scrape_error [STABLE] 1 if there was an error while getting container metrics, 0 otherwise
# TYPE resource_scrape_error gauge
resource_scrape_error 0
`
	if got := nodestats.Metrics(used); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestSummary(t *testing.T) {
	want := `{"node":{"nodeName":"n1","startTime":"1970-01-01T00:01:40Z",` +
		`"cpu":{"time":"1970-01-01T00:03:20Z","usageCoreNanoSeconds":60000000000},` +
		`"memory":{"time":"1970-01-01T00:03:20Z","usageBytes":1073741834,"workingSetBytes":1073741824}},` +
		`"pods":[{"podRef":{"name":"web","namespace":"default","uid":"u"},"startTime":"1970-01-01T00:01:40Z",` +
		`"containers":[{"name":"main","startTime":"1970-01-01T00:01:40Z",` +
		`"cpu":{"time":"1970-01-01T00:03:20Z","usageCoreNanoSeconds":1000000000},` +
		`"memory":{"time":"1970-01-01T00:03:20Z","usageBytes":1010,"workingSetBytes":1000}}],` +
		`"cpu":{"time":"1970-01-01T00:03:20Z","usageCoreNanoSeconds":1500000000},` +
		`"memory":{"time":"1970-01-01T00:03:20Z","usageBytes":2010,"workingSetBytes":2000}}]}`
	got, err := json.Marshal(nodestats.Summary("n1", used))
	if err != nil || string(got) != want {
		t.Errorf("got  %s, %v\nwant %s", got, err, want)
	}
}
