package store

import (
	"time"

	"github.com/musterhq/muster/integration/bench/load"
	"github.com/musterhq/muster/integration/bench/report"
)

// outcome is what a generator measured, with the processor times that all members
// together and the client used.
type outcome struct {
	load.Outcome
	members, client time.Duration
}

// figures are the calls per second, the 99th percentile of their latencies, and
// the processor time that each took on all members together and in the client.
func (o outcome) figures() []Figure {
	calls := float64(len(o.Latencies))
	return []Figure{
		{Unit: "/s", Value: o.PerSecond},
		{Suffix: "/p99", Unit: "ms", Value: report.Quantile(o.Latencies, 0.99)},
		{Suffix: "/cpu", Unit: "us", Value: float64(o.members.Microseconds()) / calls},
		{Suffix: "/client-cpu", Unit: "us", Value: float64(o.client.Microseconds()) / calls},
	}
}
