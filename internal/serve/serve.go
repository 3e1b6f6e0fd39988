// Package serve runs the cluster's gRPC and HTTP servers: bounded shutdown, and
// the same limits everywhere.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/musterhq/muster/internal/access"
)

const (
	// MaxMessageSize bounds a gRPC message, either way.
	MaxMessageSize = 64 << 20
	// streamWindow and connWindow are the bytes that may be under way to a server.
	// Windows that gRPC sizes by itself cost a ping and its answer for nearly every
	// message of a stream.
	streamWindow, connWindow = 1 << 20, 4 << 20
	// greetTime is how long a gRPC client may take to say who it is. A server that stops
	// waits for those who have not: for two minutes if gRPC has its way.
	greetTime = 5 * time.Second
	// drainTime is how long calls may go on once the server is asked to stop.
	drainTime = time.Second
	// answerTime is how long requests may, which nobody can simply make again. A
	// write that waits for a leader or a disk takes seconds; those who stop
	// containers are patient for ten.
	answerTime = 5 * time.Second
)

// NewGRPCServer returns a server that lets only those in whom the guard admits.
// A caller that sends no byte for ten seconds is asked whether it lives.
func NewGRPCServer(creds credentials.TransportCredentials, guard *access.Guard, opts ...grpc.ServerOption) *grpc.Server {
	return grpc.NewServer(append([]grpc.ServerOption{
		grpc.Creds(creds),
		grpc.ConnectionTimeout(greetTime),
		grpc.ChainUnaryInterceptor(guard.Unary()),
		grpc.ChainStreamInterceptor(guard.Stream()),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 10 * time.Second, Timeout: 5 * time.Second}),
		// Clients ping every ten seconds; one that pings twice as often is let be.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(MaxMessageSize),
		grpc.MaxSendMsgSize(MaxMessageSize),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
	}, opts...)...)
}

// GRPC serves on lis until ctx ends, lets calls finish for a moment and then
// ends them. It returns nil when ctx ended it.
func GRPC(ctx context.Context, logger *slog.Logger, lis net.Listener, srv *grpc.Server) error {
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		hard := time.AfterFunc(drainTime, srv.Stop)
		defer hard.Stop()
		srv.GracefulStop()
	})
	logger.Info("serving gRPC", "address", lis.Addr().String())
	err := srv.Serve(lis)
	if !stop() {
		<-done
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("serve gRPC on %s: %w", lis.Addr(), err)
}

// HTTP serves on lis until ctx ends, with TLS when srv has a TLSConfig, and closes
// it. Requests see their context end with ctx, so that watches do not hold the
// shutdown up, unless srv has a BaseContext. Who has a connection when ctx ends
// gets an answer to what he asks on it. Connections on which nothing is asked are
// waited for for a second, answers for five.
func HTTP(ctx context.Context, logger *slog.Logger, lis net.Listener, srv *http.Server) error {
	if srv.BaseContext == nil {
		srv.BaseContext = func(net.Listener) context.Context { return ctx }
	}
	defer lis.Close() // a backlog that nobody accepts from does not close
	queue := lis
	if tcp, ok := lis.(*net.TCPListener); ok {
		queue = &backlog{TCPListener: tcp}
	}
	var asked atomic.Int64
	srv.Handler = counted(&asked, srv.Handler)
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		end(srv, &asked)
	})
	logger.Info("serving HTTP", "address", lis.Addr().String())
	var err error
	if srv.TLSConfig != nil {
		err = srv.ServeTLS(queue, "", "")
	} else {
		err = srv.Serve(queue)
	}
	if !stop() {
		<-done
	}
	if ctx.Err() != nil && errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve HTTP on %s: %w", lis.Addr(), err)
}

// counted counts the requests that are being answered.
func counted(asked *atomic.Int64, inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		defer asked.Add(-1)
		inner.ServeHTTP(w, r)
	})
}

// end closes a server when its connections have ended, or nothing was asked on
// them for a while, or time is up.
func end(srv *http.Server, asked *atomic.Int64) {
	for waited := time.Duration(0); waited < answerTime; waited += drainTime {
		idle := asked.Load() == 0
		drain, cancel := context.WithTimeout(context.Background(), drainTime)
		err := srv.Shutdown(drain)
		cancel()
		if err == nil {
			return
		}
		if idle && asked.Load() == 0 {
			break
		}
	}
	_ = srv.Close() // what did not finish in time is cut off
}
