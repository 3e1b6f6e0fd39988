package sdk

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk/exchange"
)

const (
	// keepaliveTime is the shortest that gRPC allows a client.
	keepaliveTime = 10 * time.Second
	// unackedTimeout ends a connection whose bytes nobody acknowledges.
	unackedTimeout = 2 * time.Second
	// streamWindow and connWindow are the bytes that may be under way from a server.
	// Windows that gRPC sizes by itself cost a ping and its answer for nearly every
	// message of a stream.
	streamWindow, connWindow = 4 << 20, 16 << 20
	// maxMessage is the largest message either way.
	maxMessage = 64 << 20
)

// Config says where the cluster is and who calls.
type Config struct {
	// Servers are the gRPC addresses (host:port) of the apiservers. One is used
	// at a time; when it dies or falls silent the client moves to another. As
	// servers come and go, a client that may list them learns of it.
	Servers []string
	// TLS authenticates both ends. How the server is verified is the caller's
	// choice (by CA and group inside a cluster, by name outside). Nil means plain
	// text, which no real server answers to.
	TLS *tls.Config
	// Token returns the bearer token that goes with each call, beside or instead of a
	// client certificate in TLS; nil for none. It is asked for each call, so it should
	// remember, and read the file again where the token is one that is renewed.
	Token func(ctx context.Context) (string, error)
	// Impersonate is whom to act as; the zero value is the caller itself.
	Impersonate Impersonate
	// Dialer opens the raw connection; nil is TCP.
	Dialer func(ctx context.Context, address string) (net.Conn, error)
	// CallTimeout bounds a call whose context has no deadline; 0 is 30 s.
	CallTimeout time.Duration
	// ProbeInterval is how long the server in use may be silent while a call waits
	// for it, before it is asked whether it lives; four times as long when none
	// waits; 0 is 250 ms, negative never.
	ProbeInterval time.Duration
	// ProbeTimeout is how long it may then take to answer; 0 is 750 ms.
	ProbeTimeout time.Duration
	// UserAgent names the program to the server.
	UserAgent string
	// Logger for changes of server; nil discards.
	Logger *slog.Logger
}

// Client is a connection to a cluster. Its methods, and the functions of this
// package that take one, may be called from any goroutine.
type Client struct {
	conn    *grpc.ClientConn
	objects apiv1.ObjectServiceClient
	calls   *exchange.Caller
	probe   *probe
	links   *links
	timeout time.Duration
	log     *slog.Logger

	stop context.CancelFunc
	done sync.WaitGroup
}

// Dial makes a client. It returns at once: the first call connects, and waits
// for a server for as long as its context allows.
func Dial(cfg Config) (*Client, error) {
	if len(cfg.Servers) == 0 {
		return nil, errors.New("dial: no servers given")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = 30 * time.Second
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &Client{timeout: cfg.CallTimeout, log: cfg.Logger.With("component", "sdk"), stop: stop}

	addresses := append([]string(nil), cfg.Servers...)
	// Clients spread over the servers by where they begin.
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	res := manual.NewBuilderWithScheme("muster")
	c.links = newLinks(addresses, cfg.Dialer, func(order []string) { res.UpdateState(state(order)) })
	res.InitialState(state(addresses))

	c.probe = newProbe(cfg, c.links, c.log)
	conn, err := grpc.NewClient("muster:///"+addresses[0], append(options(cfg, res, c.links), grpc.WithUnaryInterceptor(c.probe.watch))...)
	if err != nil {
		stop()
		return nil, fmt.Errorf("dial %v: %w", cfg.Servers, err)
	}
	c.conn, c.objects = conn, apiv1.NewObjectServiceClient(conn)
	c.calls = exchange.NewCaller(c.objects)
	c.done.Go(func() { c.learn(ctx) })
	if cfg.ProbeInterval >= 0 {
		c.probe.conn = conn
		c.done.Go(func() { c.probe.run(ctx) })
	}
	return c, nil
}

func options(cfg Config, res resolver.Builder, l *links) []grpc.DialOption {
	creds := insecure.NewCredentials()
	if cfg.TLS != nil {
		creds = credentials.NewTLS(cfg.TLS)
	}
	opts := []grpc.DialOption{
		grpc.WithResolvers(res),
		grpc.WithTransportCredentials(creds),
		grpc.WithContextDialer(l.dial),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		// pick_first races the addresses 250 ms apart, so a dead first one costs that.
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"pick_first":{}}]}`),
		grpc.WithIdleTimeout(0),
		grpc.WithStaticStreamWindowSize(streamWindow),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: keepaliveTime, Timeout: unackedTimeout}),
		grpc.WithConnectParams(grpc.ConnectParams{
			MinConnectTimeout: 2 * time.Second,
			Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.3, MaxDelay: time.Second},
		}),
		grpc.WithDefaultCallOptions(
			grpc.WaitForReady(true),
			grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)),
	}
	if cfg.Token != nil {
		opts = append(opts, grpc.WithPerRPCCredentials(bearer(cfg.Token)))
	}
	opts = append(opts, cfg.Impersonate.options()...)
	if cfg.UserAgent != "" {
		opts = append(opts, grpc.WithUserAgent(cfg.UserAgent))
	}
	return opts
}

// bearer sends a token with each call, and only where nobody listens.
type bearer func(ctx context.Context) (string, error)

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b(ctx)
	if err != nil {
		return nil, fmt.Errorf("get the bearer token: %w", err)
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (bearer) RequireTransportSecurity() bool { return true }

func state(addresses []string) resolver.State {
	var s resolver.State
	for _, a := range addresses {
		// Where servers are verified by name, each one is by its own.
		s.Addresses = append(s.Addresses, resolver.Address{Addr: a, ServerName: a})
	}
	return s
}

// Conn is the connection itself, for the cluster's other services.
func (c *Client) Conn() grpc.ClientConnInterface { return c.conn }

// Server is the address of the server in use, empty when there is none.
func (c *Client) Server() string { return c.links.current() }

// Close ends the connection, and every call and watch on it.
func (c *Client) Close() error {
	c.stop()
	c.calls.Close()
	err := c.conn.Close()
	c.done.Wait()
	return err
}

// bounded gives ctx the default deadline if it has none.
func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, c.timeout)
}
