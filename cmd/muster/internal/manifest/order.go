package manifest

import "slices"

// ranks say which kinds come before others that need them when they are created.
// Whatever is not here comes last, which is nearly everything: what names what is not
// there yet, as a Deployment does a ConfigMap, waits for it.
var ranks = map[string]int{
	"Namespace":          -9, // holds all others
	"PriorityClass":      -8, // pods are refused whose class is not there
	"RuntimeClass":       -8,
	"StorageClass":       -8,
	"ResourceQuota":      -7, // is to count what comes
	"LimitRange":         -7, // is to bound it
	"ServiceAccount":     -6, // pods are refused whose account is not there
	"Secret":             -5,
	"ConfigMap":          -5,
	"PersistentVolume":   -4,
	"ClusterRole":        -3, // are named by bindings
	"Role":               -3,
	"ClusterRoleBinding": -2,
	"RoleBinding":        -2,
	"Service":            -1, // is in the environment of the pods that come after it
}

// Order returns the indexes of the manifests, those first that others need; else the
// order stays.
func Order(manifests []Manifest) []int {
	out := make([]int, len(manifests))
	for i := range out {
		out[i] = i
	}
	slices.SortStableFunc(out, func(a, b int) int { return ranks[manifests[a].Kind] - ranks[manifests[b].Kind] })
	return out
}
