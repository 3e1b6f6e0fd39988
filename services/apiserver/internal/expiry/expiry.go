// Package expiry has the leader remove what is past its time. The state knows
// when that is for each entry; this says what time it is.
package expiry

import (
	"context"
	"errors"
	"log/slog"
	"time"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

const (
	// interval is how often the leader looks. What came due in it goes by one
	// entry of the log, so it is also how late an entry may go.
	interval = 10 * time.Second
	// batch is how many entries go at once: a backlog must not hold up the
	// writes of others.
	batch = 1000
	// batches bounds what one look does; the next one does the rest.
	batches = 100
)

// Replica is the replicated state, as far as it is needed here.
type Replica interface {
	// Apply proposes a transaction; it blocks until that is applied or ctx ends.
	Apply(ctx context.Context, tx *storev1.Transaction) (*storev1.Result, error)
	// IsLeader tells whether this member leads. It does not block.
	IsLeader() bool
	// Store returns the local member's state.
	Store() *state.Store
}

// Config is what New needs.
type Config struct {
	Replica Replica
	// Now is the clock by which entries are due; nil is this machine's. Where it
	// is wrong, they go as much too early or too late.
	Now    func() time.Time
	Logger *slog.Logger
}

// Sweeper proposes the removal of what is due.
type Sweeper struct {
	replica Replica
	now     func() time.Time
	logger  *slog.Logger
}

// New returns a Sweeper; Run runs it.
func New(config Config) (*Sweeper, error) {
	if config.Replica == nil || config.Logger == nil {
		return nil, errors.New("new expiry: replica and logger are required")
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Sweeper{replica: config.Replica, now: config.Now, logger: config.Logger.With("component", "expiry")}, nil
}

// Run removes what is due, while this member leads, until ctx ends. It costs
// nothing of the log while nothing is due.
func (s *Sweeper) Run(ctx context.Context) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.logger.Warn("remove what expired", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// sweep removes what is due by this member's clock. Two that take themselves for
// the leader do no harm: what the one has removed, the other does not find.
func (s *Sweeper) sweep(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, interval)
	defer cancel()
	now := s.now().Unix()
	for range batches {
		next, ok := s.replica.Store().View().NextExpiry()
		if !ok || next > now || !s.replica.IsLeader() {
			return nil
		}
		tx := &storev1.Transaction{Expire: &storev1.Expire{UntilUnix: now, Limit: batch}}
		if _, err := s.replica.Apply(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}
