// Package nodestats words what a node's agent measured as kubelet's API does: the
// summary of k8s.io/kubelet/pkg/apis/stats, and metrics/resource for scrapers.
package nodestats

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	"k8s.io/utils/ptr"

	agentv1 "github.com/musterhq/muster/proto/muster/agent/v1"
)

// Summary is what kubelet answers at /stats/summary. Rates, disks and networks are
// not in it, since no agent measures them.
func Summary(node string, u *agentv1.UsageResponse) *stats.Summary {
	s := &stats.Summary{Pods: []stats.PodStats{}}
	s.Node = stats.NodeStats{
		NodeName: node, StartTime: metav1.NewTime(u.GetNode().GetStart().AsTime()), CPU: cpu(u.GetNode()), Memory: memory(u.GetNode()),
	}
	for _, p := range u.GetPods() {
		pod := stats.PodStats{
			PodRef:    stats.PodReference{Name: p.GetName(), Namespace: p.GetNamespace(), UID: p.GetUid()},
			StartTime: metav1.NewTime(p.GetUsage().GetStart().AsTime()), CPU: cpu(p.GetUsage()), Memory: memory(p.GetUsage()),
			Containers: []stats.ContainerStats{},
		}
		for _, c := range p.GetContainers() {
			pod.Containers = append(pod.Containers, stats.ContainerStats{
				Name: c.GetName(), StartTime: metav1.NewTime(c.GetUsage().GetStart().AsTime()), CPU: cpu(c.GetUsage()), Memory: memory(c.GetUsage()),
			})
		}
		s.Pods = append(s.Pods, pod)
	}
	return s
}

func cpu(u *agentv1.Usage) *stats.CPUStats {
	return &stats.CPUStats{Time: metav1.NewTime(u.GetTime().AsTime()), UsageCoreNanoSeconds: ptr.To(u.GetCpuNanoseconds())}
}

func memory(u *agentv1.Usage) *stats.MemoryStats {
	return &stats.MemoryStats{
		Time: metav1.NewTime(u.GetTime().AsTime()), UsageBytes: ptr.To(u.GetMemoryBytes()), WorkingSetBytes: ptr.To(u.GetWorkingSetBytes()),
	}
}
