package apiserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"

	"github.com/musterhq/muster/internal/serve"
	"github.com/musterhq/muster/services/apiserver/internal/audit"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
	"github.com/musterhq/muster/services/apiserver/internal/bootstrap"
	"github.com/musterhq/muster/services/apiserver/internal/cluster"
	"github.com/musterhq/muster/services/apiserver/internal/expiry"
	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/retention"
	"github.com/musterhq/muster/services/apiserver/internal/roles"
	"github.com/musterhq/muster/services/apiserver/internal/rpc"
	"github.com/musterhq/muster/services/apiserver/internal/serviceaccount"
	"github.com/musterhq/muster/services/apiserver/internal/signing"
)

// Server is one apiserver.
type Server struct {
	config  Config
	replica *replica.Replica
	cluster *cluster.Service
	objects *objects.Service
	keeper  *bootstrap.Keeper
	roles   *roles.Keeper
	sweeper *expiry.Sweeper
	signer  *signing.Signer
	tokens  *auth.Tokens
	authn   *auth.Authenticator
	rest    *http.Server
	grpc    *grpc.Server
	readers *serve.Readers
	gate    *fairness.Gate
	rpc     *rpc.Service
	health  *health.Server
	logger  *slog.Logger

	authorizer *auth.Authorizer
	accounts   *serviceaccount.Tokens // nil without a key
	audit      *audit.Log             // nil without a policy
}

// New opens the data and the listeners. Run must follow. It refuses a data
// directory that belongs to another cluster or is damaged.
func New(config Config) (*Server, error) {
	config, err := config.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := config.listen(); err != nil {
		return nil, err
	}
	s := &Server{
		config: config, logger: config.Logger.With("component", "apiserver"),
		gate: fairness.New(fairness.DefaultLimits()), readers: serve.NewReaders(stallLimit),
	}
	if err := s.openReplica(); err != nil {
		config.closeListeners()
		return nil, fmt.Errorf("new apiserver: %w", err)
	}
	if err := s.wire(); err != nil {
		s.replica.Close()
		config.closeListeners()
		return nil, fmt.Errorf("new apiserver: %w", err)
	}
	return s, nil
}

// Run serves until ctx ends and returns when all that it started has stopped.
// It ends with an error when the member cannot go on.
func (s *Server) Run(ctx context.Context) error {
	defer s.config.closeListeners()
	// The doors close first: what they still answer needs the replica.
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.replica.Run(life) }()

	doors, open := errgroup.WithContext(ctx)
	defer context.AfterFunc(open, s.rpc.Stop)()
	doors.Go(func() error { return serve.HTTP(open, s.logger, s.config.RESTListener, s.rest) })
	doors.Go(func() error { return serve.GRPC(open, s.logger, s.readers.Listen(s.config.GRPCListener), s.grpc) })
	doors.Go(func() error { return s.cluster.Run(open) })
	doors.Go(func() error { return s.keeper.Run(open) })
	doors.Go(func() error { return s.roles.Run(open) })
	doors.Go(func() error { return s.fillSecrets(open) })
	doors.Go(func() error { return s.sweeper.Run(open) })
	doors.Go(func() error { return retention.Run(open, s.replica.Store()) })
	doors.Go(func() error { return s.signer.Run(open) })
	doors.Go(func() error { return s.reportHealth(open) })
	doors.Go(func() error {
		select {
		case <-open.Done():
			return nil
		case err := <-ended:
			ended <- nil
			return errors.Join(replica.ErrStopped, err)
		}
	})
	err := doors.Wait()
	stop()
	return errors.Join(err, <-ended, s.audit.Close())
}

// WaitReady returns when this member serves reads and writes and the objects
// that every cluster has are there.
func (s *Server) WaitReady(ctx context.Context) error {
	if err := s.replica.WaitReady(ctx); errors.Is(err, replica.ErrStopped) {
		<-ctx.Done() // why it stopped, Run says
		return context.Cause(ctx)
	} else if err != nil {
		return err
	}
	select {
	case <-s.keeper.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
