package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/musterhq/muster/internal/failpoint"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Replica is one member. Its methods may be called by anybody, from Open until
// Run returns; those that wait for others need Run to be running.
type Replica struct {
	config    Config
	era       *era
	dialer    dialer
	mux       *mux
	storage   *storage
	transport *transport
	machine   *machine
	raft      *raft.Raft
	leaders   *leaders
	contacts  *contacts
	caretaker *caretaker
	proposals *proposals
	orders    *orders
	reads     *rounds // questions of this member to the leader
	// confirmations are the questions of all members, this one leading.
	confirmations *rounds
	upstream      *upstream
	peers         *peers
	room          *room
	succession    *succession

	belonged  atomic.Bool // was in the cluster at some point of the log
	voted     atomic.Bool // had a vote at some point
	regrouped signal      // the members changed
	changing  lock        // held while the leader changes the members
	heirs     *heirs

	leaving chan struct{} // closed when Run has begun to stop
	halted  chan struct{} // closed when Raft has ended

	closing sync.Once
	failing sync.Once
	failed  chan struct{} // closed when failure is set
	failure error
}

// Open opens a member's data, or makes it, and starts Raft. Run must follow, or
// Close. It returns an error that is ErrForeignData, ErrDamaged or ErrInUse when
// the data directory is not fit for use.
func Open(config Config) (*Replica, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Replica{config: config, heirs: newHeirs(), changing: newLock(), leaving: make(chan struct{}), halted: make(chan struct{}), failed: make(chan struct{})}
	r.storage = memoryStorage()
	r.era = &era{epoch: config.Epoch, end: func() { r.fail(ErrSuperseded) }}
	if !config.InMemory {
		if r.storage, err = openStorage(config, r.fail); err != nil {
			return nil, fmt.Errorf("open replica: %w", err)
		}
		if r.era.epoch, err = epochOf(config.Dir); err != nil {
			_ = r.storage.close()
			return nil, fmt.Errorf("open replica: %w", err)
		}
	}
	r.machine = newMachine(config.Store, r.fail, r.moved, r.storage.logs.written)
	r.dialer = dialer{raw: config.Dial, era: r.era, tls: config.ClientTLS}
	r.succession = newSuccession(r)
	r.mux = newMux(config.Listener, r.era, config.ServerTLS, config.Logger)
	r.mux.ended = r.succession.look
	r.transport = r.newTransport()
	r.peers = newPeers(r.dialer)
	r.proposals = newProposals(r)
	r.room = newRoom(r)
	r.reads = newRounds(r.readIndex)
	r.confirmations = newRounds(r.confirm)
	r.upstream = newUpstream(r)
	r.caretaker = newCaretaker(r)
	if err := r.start(); err != nil {
		_ = r.transport.Close()
		_ = r.storage.close()
		return nil, fmt.Errorf("open replica: %w", err)
	}
	return r, nil
}

// start forms a cluster if that is wanted, and starts Raft.
func (r *Replica) start() error {
	rc := raftConfig(r.config)
	if r.config.Bootstrap {
		if err := r.form(rc); err != nil {
			return fmt.Errorf("form cluster: %w", err)
		}
	}
	var err error
	r.raft, err = raft.NewRaft(rc, r.machine, r.storage.logs, steadfast{r.storage.stable, r.fail}, r.storage.snapshots, r.transport)
	if broken := r.machine.restoring(); broken != nil {
		// Raft would go on with an older snapshot, and lack what lies between.
		if r.raft != nil {
			_ = r.raft.Shutdown().Error()
		}
		return damaged(r.config.Dir, broken)
	}
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	failpoint.Hit("replica/start/running")
	r.storage.logs.begin(func() bool { return r.IsLeader() && r.transport.sends() && !r.room.full.Load() })
	r.orders = newOrders(r.raft, r.halted, r.transport.committed)
	r.leaders = newLeaders(r.raft)
	r.contacts = newContacts(r.raft)
	return nil
}

func raftConfig(config Config) *raft.Config {
	t := config.Timing.withDefaults()
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(config.ID)
	rc.HeartbeatTimeout = t.Heartbeat
	rc.ElectionTimeout = t.Election
	rc.LeaderLeaseTimeout = t.Lease
	rc.CommitTimeout = t.Commit
	// An entry holds up to batchBytes: this many must pass within ioTimeout.
	rc.MaxAppendEntries = 64
	rc.SnapshotInterval = t.SnapshotInterval
	rc.SnapshotThreshold = t.SnapshotThreshold
	rc.TrailingLogs = t.TrailingLogs
	rc.ShutdownOnRemove = false
	rc.NoLegacyTelemetry = true
	rc.Logger = newRaftLogger(config.Logger)
	return rc
}

// Run serves the other members until ctx ends, and returns when all that Open
// and it started has stopped. A member that leads hands over first. If the
// member cannot go on, Run ends with the reason.
func (r *Replica) Run(ctx context.Context) error {
	defer r.Close()
	work, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(ErrStopped)
	g, work := errgroup.WithContext(work)
	server := r.newServer()
	g.Go(func() error { return r.mux.run(work) })
	g.Go(func() error { r.greet(work); return nil })
	g.Go(func() error { return r.serve(server) })
	g.Go(func() error { return r.leaders.run(work, r.orders.prove) })
	g.Go(func() error { return r.caretaker.run(work) })
	g.Go(func() error { return r.room.run(work) })
	g.Go(func() error { return r.succession.run(work) })
	g.Go(func() error { return r.proposals.run(work) })
	g.Go(func() error { return r.orders.run(work) })
	g.Go(func() error { return r.upstream.run(work) })
	g.Go(func() error { return r.reads.run(work) })
	g.Go(func() error { return r.confirmations.run(work) })

	select {
	case <-ctx.Done():
		r.handOver()
	case <-r.failed:
	case <-work.Done():
	}
	close(r.leaving)
	stopServer(server)
	r.transport.hangUp()
	_ = r.storage.logs.close()
	err := r.raft.Shutdown().Error()
	close(r.halted)
	stop(ErrStopped)
	r.transport.CloseStreams()
	err = errors.Join(g.Wait(), err)
	select {
	case <-r.failed:
		return fmt.Errorf("replica %s: %w", r.config.ID, r.failure)
	default:
	}
	if err != nil {
		return fmt.Errorf("replica %s: %w", r.config.ID, err)
	}
	return nil
}

// Close releases what Open took; Run does so too.
func (r *Replica) Close() {
	r.closing.Do(func() {
		r.transport.hangUp()
		_ = r.storage.logs.close()
		_ = r.raft.Shutdown().Error()
		r.leaders.close()
		r.contacts.close()
		r.transport.CloseStreams()
		_ = r.transport.Close()
		r.mux.close()
		_ = r.peers.close()
		if err := r.storage.close(); err != nil {
			r.config.Logger.Warn("close data directory", "error", err)
		}
	})
}

// Store returns the store that the log is applied to.
func (r *Replica) Store() *state.Store { return r.config.Store }

// fail makes Run end.
func (r *Replica) fail(err error) {
	r.failing.Do(func() {
		r.failure = err
		close(r.failed)
	})
}

// serve serves the ReplicaService on its share of the port.
func (r *Replica) serve(server *grpc.Server) error {
	err := server.Serve(r.mux.lanes[protocolRPC])
	if errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return err
}

// stopServer lets calls that are being answered end, but not for long.
func stopServer(server *grpc.Server) {
	late := time.AfterFunc(time.Second, server.Stop)
	defer late.Stop()
	server.GracefulStop()
}
