//go:build root

// Package conformance is the suite that every proxy.Applier passes, over real
// namespaces and real connections.
package conformance

import (
	"testing"

	"github.com/musterhq/muster/agent/proxy"
)

// Suite says how to make and to disturb the applier under test. Its functions
// are called in the node's network namespace.
type Suite struct {
	New func() (proxy.Applier, error)
	// Sabotage removes the applier's rules behind its back.
	Sabotage func() error
	// Foreign makes something of the kind that the applier makes, for which
	// somebody else would be to blame.
	Foreign func() error
	// Leftovers lists what there is of that kind, but for the pod network's.
	Leftovers func() ([]string, error)
}

// Run runs the suite.
func Run(t *testing.T, suite Suite) {
	for _, test := range []struct {
		name string
		run  func(*rig)
	}{
		{"ClusterIP", testClusterIP},
		{"SourceAddress", testSourceAddress},
		{"Hairpin", testHairpin},
		{"WithoutBridgeNetfilter", testWithoutBridgeNetfilter},
		{"NodePort", testNodePort},
		{"NoEndpoints", testNoEndpoints},
		{"UnknownPortsAndAddresses", testUnknown},
		{"HostPortsStayHidden", testHostPorts},
		{"EndpointsChange", testEndpointsChange},
		{"OldConnectionsDrain", testDraining},
		{"UDPFollowsEndpoints", testUDPFollows},
		{"AttemptsFollowEndpoints", testAttemptsFollow},
		{"Affinity", testAffinity},
		{"AffinityEnds", testAffinityEnds},
		{"Repair", testRepair},
		{"Adopt", testAdopt},
		{"Cleanup", testCleanup},
		{"Thousand", testThousand},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(newRig(t, suite)) })
	}
}
