package heap

import (
	"runtime/metrics"
	"time"
)

// sample is the heap at one time, in bytes.
type sample struct {
	at      time.Time
	live    uint64 // what the last collection found
	objects uint64 // live, and what was allocated since, dead or not
	free    uint64 // pages without objects that the kernel has not got back
	// Since the process began: what was allocated, how often it was collected, and
	// the processor time that took, in seconds.
	allocated, collections uint64
	collecting             float64
}

// unused is what a collection could give back at most: nobody knows how much of
// what was allocated since the last one is dead.
func (s sample) unused() uint64 { return s.free + s.objects - min(s.live, s.objects) }

// pace is what was allocated since an earlier sample, in bytes a second.
func (s sample) pace(before sample) float64 {
	return float64(s.allocated-before.allocated) / s.at.Sub(before.at).Seconds()
}

// read takes a sample without stopping anything.
func read() sample {
	values := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/allocs:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"}, {Name: "/cpu/classes/gc/total:cpu-seconds"},
	}
	metrics.Read(values)
	return sample{
		at: time.Now(), live: values[0].Value.Uint64(), objects: values[1].Value.Uint64(),
		free: values[2].Value.Uint64(), allocated: values[3].Value.Uint64(),
		collections: values[4].Value.Uint64(), collecting: values[5].Value.Float64(),
	}
}
