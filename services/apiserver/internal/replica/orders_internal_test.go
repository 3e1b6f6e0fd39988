package replica

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// busyMachine is a state machine that is at its first entry until it is let go.
type busyMachine struct{ busy chan struct{} }

func (m busyMachine) Apply(*raft.Log) any               { <-m.busy; return nil }
func (busyMachine) Snapshot() (raft.FSMSnapshot, error) { return nil, io.EOF }
func (busyMachine) Restore(io.ReadCloser) error         { return io.EOF }

// Entries are queued for a state machine that is busy when Raft is shut down.
// Raft answers nobody who waits for them: without an end of our own, the bubble
// ends in a deadlock.
func TestOrdersEndWithRaft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		machine := busyMachine{make(chan struct{})}
		logs, snapshots := raft.NewInmemStore(), raft.NewInmemSnapshotStore()
		address, transport := raft.NewInmemTransport("")
		config := raft.DefaultConfig()
		config.LocalID, config.Logger = "m1", hclog.NewNullLogger()
		self := raft.Configuration{Servers: []raft.Server{{ID: "m1", Address: address}}}
		if err := raft.BootstrapCluster(config, logs, logs, snapshots, transport, self); err != nil {
			t.Fatal(err)
		}
		r, err := raft.NewRaft(config, machine, logs, logs, snapshots, transport)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if r.State() != raft.Leader {
			t.Fatalf("it is %v", r.State())
		}
		halted := make(chan struct{})
		var futures []raft.ApplyFuture
		for range 20 {
			futures = append(futures, r.Apply(nil, 0))
			endWithRaft(futures[len(futures)-1], halted)
			synctest.Wait()
		}
		down := r.Shutdown()
		close(machine.busy)
		if err := down.Error(); err != nil {
			t.Fatal(err)
		}
		close(halted)
		forgotten := 0
		for _, f := range futures {
			if f.Error() != nil {
				forgotten++
			}
		}
		if forgotten == 0 {
			t.Errorf("Raft forgot none of %d: this test shows nothing any more", len(futures))
		}
	})
}
