package api

import "fmt"

// Figures of Kubernetes 1.36.3 with etcd 3.6.8, measured on such a machine with the
// same generator. Where a range was measured its better end is taken.
var (
	kubernetesCreates = map[string]peer{
		"members=1/protobuf/callers=1":   {perSecond: 415, cpu: 1200},
		"members=1/protobuf/callers=16":  {perSecond: 1145, cpu: 1200},
		"members=1/protobuf/callers=64":  {perSecond: 1228, p99: 122, cpu: 1200},
		"members=1/protobuf/callers=256": {perSecond: 1457, cpu: 1200},
		"members=1/json/callers=1":       {perSecond: 280},
		"members=1/json/callers=16":      {perSecond: 927},
		"members=1/json/callers=64":      {perSecond: 938},
		"members=1/json/callers=256":     {perSecond: 1206},
		"members=3/protobuf/callers=64":  {perSecond: 671, p99: 225},
		"members=3/protobuf/callers=256": {perSecond: 880, p99: 957},
	}
	kubernetesGets = map[string]peer{
		"members=1/protobuf/callers=1":  {perSecond: 751, cpu: 730},
		"members=1/protobuf/callers=16": {perSecond: 1918, cpu: 730},
		"members=1/protobuf/callers=64": {perSecond: 2045, cpu: 730},
	}
)

// Cases are all that is measured, in the order in which they share clusters.
func Cases() []Case {
	all := []Case{
		{Name: "idle/members=1", Members: 1, measure: idle},
	}
	calls := func(what string, make func(string, int, peer) measure, peers map[string]peer, members int, contentType string, callers ...int) {
		for _, n := range callers {
			key := fmt.Sprintf("members=%d/%s/callers=%d", members, encoding[contentType], n)
			all = append(all, Case{Name: what + "/" + key, Members: members, measure: make(contentType, n, peers[key])})
		}
	}
	calls("create", creates, kubernetesCreates, 1, asProtobuf, 1, 16, 64, 256)
	calls("create", creates, kubernetesCreates, 1, asJSON, 1, 16, 64, 256)
	calls("get", gets, kubernetesGets, 1, asProtobuf, 1, 16, 64)
	for _, l := range []struct {
		contentType string
		k           listPeer
	}{{asProtobuf, listPeer{328, 410, 530}}, {asJSON, listPeer{919, 1156, 1284}}} {
		all = append(all, Case{Name: "list/pods=10000/" + encoding[l.contentType], Members: 1, measure: lists(l.contentType, l.k)})
	}
	all = append(all,
		Case{Name: "create-to-watch/watchers=1", Members: 1, measure: watches(1, 4.3, 10.4)},
		Case{Name: "create-to-watch/watchers=500", Members: 1, measure: watches(500, 21, 54)},
		Case{Name: "deletecollection/pods=10000", Members: 1, measure: deleteCollection},
	)
	calls("create", creates, kubernetesCreates, 3, asProtobuf, 64, 256)
	return append(all,
		Case{Name: "failover/members=3", Members: 3, Alone: true, measure: failover},
		binds(100, 274), binds(1000, 170), binds(5000, 147),
		Case{Name: "rollout/replicas=2000/nodes=100", Members: 1, Alone: true, measure: withNodes(100, rollout)},
		Case{Name: "idle/nodes=5000/pods=10000", Members: 1, Alone: true, Once: true, measure: withNodes(5000, large)},
		Case{Name: "node-gone", Members: 1, Nodes: 2, Alone: true, Once: true, measure: nodeGone},
	)
}
