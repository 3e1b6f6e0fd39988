package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/types/known/anypb"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
	"github.com/musterhq/muster/sdk/exchange"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// server answers every call with its name, as handle says.
type server struct {
	apiv1.UnimplementedObjectServiceServer
	stopping chan struct{}
	prompt   exchange.Prompt
	handle   exchange.Handler
	messages atomic.Int64
	streams  atomic.Int64
}

func (s *server) Exchange(stream grpc.BidiStreamingServer[apiv1.ExchangeRequest, apiv1.ExchangeResponse]) error {
	return exchange.Serve(stream, s.stopping, s.prompt, func(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
		s.messages.Add(1)
		s.handle(ctx, calls, answer)
	})
}

func echo(_ context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
	for _, c := range calls {
		answer(&apiv1.Answer{Id: c.GetId(), Object: &anypb.Any{TypeUrl: c.GetGet().GetKey().GetName()}})
	}
}

func get(name string) *apiv1.Call {
	return &apiv1.Call{Request: &apiv1.Call_Get{Get: &apiv1.GetRequest{Key: &apiv1.ObjectKey{Name: name}}}}
}

// dial returns a caller to a server; without a handler the server lacks the method.
func dial(t *testing.T, s *server) (*exchange.Caller, *grpc.Server) {
	t.Helper()
	lis := bufconn.Listen(1 << 20)
	g := grpc.NewServer(grpc.ForceServerCodecV2(exchange.Codec()), grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
		s.streams.Add(1)
		return h(srv, ss)
	}))
	var service apiv1.ObjectServiceServer = apiv1.UnimplementedObjectServiceServer{}
	if s.handle != nil {
		service = s
	}
	apiv1.RegisterObjectServiceServer(g, service)
	served := make(chan error, 1)
	go func() { served <- g.Serve(lis) }()
	conn, err := grpc.NewClient("passthrough:///bufconn", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	c := exchange.NewCaller(apiv1.NewObjectServiceClient(conn))
	t.Cleanup(func() {
		c.Close()
		_ = conn.Close()
		g.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return c, g
}

// opened calls until there is a stream.
func opened(t *testing.T, c *exchange.Caller) {
	t.Helper()
	for {
		_, err := c.Do(t.Context(), get("open"), time.Minute)
		if err == nil {
			return
		}
		if !errors.Is(err, exchange.ErrNoStream) {
			t.Fatal(err)
		}
		synctest.Wait()
	}
}

func TestEachCallGetsItsAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{handle: func(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
			for i := range calls { // the last one first
				echo(ctx, calls[len(calls)-1-i:len(calls)-i], answer)
			}
		}}
		c, _ := dial(t, s)
		opened(t, c)
		const callers, each = 50, 20
		var all sync.WaitGroup
		for caller := range callers {
			all.Go(func() {
				for n := range each {
					name := fmt.Sprintf("%d-%d", caller, n)
					a, err := c.Do(t.Context(), get(name), time.Minute)
					if err != nil || a.TypeURL != name {
						t.Errorf("%s was answered %v, %v", name, a, err)
					}
				}
			})
		}
		all.Wait()
		if n := s.messages.Load(); n > callers*each/2 {
			t.Errorf("%d calls took %d messages", callers*each, n)
		}
	})
}

// What is answered promptly is not handled, and all else is.
func TestPromptAnswersAreNotHandled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{
			prompt: func(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) bool {
				if calls[0].GetGet().GetKey().GetName() != "prompt" {
					return false
				}
				echo(ctx, calls, answer)
				return true
			},
			handle: echo,
		}
		c, _ := dial(t, s)
		opened(t, c)
		handled := s.messages.Load()
		for _, name := range []string{"prompt", "other", "prompt", "prompt", "other"} {
			if a, err := c.Do(t.Context(), get(name), time.Minute); err != nil || a.TypeURL != name {
				t.Errorf("%s was answered %v, %v", name, a, err)
			}
		}
		if n := s.messages.Load() - handled; n != 2 {
			t.Errorf("%d calls were handled, not 2", n)
		}
	})
}

func TestRefusalIsTheRPCsError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refusal, _ := status.New(codes.NotFound, "not here").WithDetails(&anypb.Any{TypeUrl: "why"})
		c, _ := dial(t, &server{handle: func(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
			if calls[0].GetGet().GetKey().GetName() == "open" {
				echo(ctx, calls, answer)
				return
			}
			answer(exchange.Refused(calls[0], refusal.Err()))
		}})
		opened(t, c)
		_, err := c.Do(t.Context(), get("a"), time.Minute)
		if got := status.Convert(err); got.Code() != codes.NotFound || got.Message() != "not here" || len(got.Details()) != 1 {
			t.Errorf("got %v", err)
		}
	})
}

func TestCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		free := make(chan struct{})
		c, _ := dial(t, &server{handle: func(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
			if calls[0].GetGet().GetKey().GetName() == "slow" {
				asked.Store(calls[0].GetTimeoutNanos())
				<-free
			}
			echo(ctx, calls, answer)
		}})
		opened(t, c)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		if _, err := c.Do(ctx, get("slow"), 5*time.Second); status.Code(err) != codes.DeadlineExceeded || time.Since(begun) != 3*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		if asked.Load() != int64(5*time.Second) {
			t.Errorf("the server was told of %s", time.Duration(asked.Load()))
		}
		close(free)
		if a, err := c.Do(t.Context(), get("next"), time.Minute); err != nil || a.TypeURL != "next" {
			t.Errorf("the next call: %v, %v", a, err)
		}
	})
}

// One timer serves all calls, whatever order they end in.
func TestCallExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		c, _ := dial(t, &server{handle: func(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
			if calls[0].GetGet().GetKey().GetName() == "slow" {
				<-free
			}
			echo(ctx, calls, answer)
		}})
		opened(t, c)
		begun := time.Now()
		var all sync.WaitGroup
		for _, timeout := range []time.Duration{5 * time.Second, time.Second, time.Second, 3 * time.Second, time.Hour} {
			all.Go(func() {
				_, err := c.Do(t.Context(), get("slow"), timeout)
				if timeout == time.Hour {
					if err != nil {
						t.Errorf("the call that had time: %v", err)
					}
					return
				}
				if took := time.Since(begun); took != timeout || !errors.Is(err, context.DeadlineExceeded) || status.Code(err) != codes.DeadlineExceeded {
					t.Errorf("a call with %s failed after %s: %v", timeout, took, err)
				}
			})
		}
		time.Sleep(10 * time.Second)
		close(free)
		all.Wait()
		if o, err := c.Do(t.Context(), get("next"), time.Second); err != nil || o.TypeURL != "next" {
			t.Errorf("the next call: %v, %v", o, err)
		}
	})
}

func TestBrokenStreamFailsItsCallsAndIsOpenedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := make(chan struct{})
		s := &server{}
		s.handle = func(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
			if calls[0].GetGet().GetKey().GetName() != "hang" {
				echo(ctx, calls, answer)
				return
			}
			close(broken)
			<-ctx.Done()
		}
		c, g := dial(t, s)
		opened(t, c)
		go func() {
			<-broken
			g.Stop()
		}()
		if _, err := c.Do(t.Context(), get("hang"), time.Minute); status.Code(err) != codes.Unavailable {
			t.Errorf("the call whose server went: %v", err)
		}
		if _, err := c.Do(t.Context(), get("a"), time.Minute); !errors.Is(err, exchange.ErrNoStream) {
			t.Errorf("a call without a server: %v", err)
		}
	})
}

// A server that stops answers all it was asked, and is asked nothing more.
func TestServerThatStopsFailsNoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{stopping: make(chan struct{}), handle: func(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) {
			time.Sleep(10 * time.Millisecond)
			echo(ctx, calls, answer)
		}}
		c, g := dial(t, s)
		opened(t, c)
		var all sync.WaitGroup
		var answered, elsewhere atomic.Int64
		for range 20 {
			all.Go(func() {
				for range 10 {
					switch _, err := c.Do(t.Context(), get("a"), time.Minute); {
					case err == nil:
						answered.Add(1)
					case errors.Is(err, exchange.ErrNoStream):
						elsewhere.Add(1)
						time.Sleep(time.Millisecond)
					default:
						t.Error(err)
					}
				}
			})
		}
		time.Sleep(35 * time.Millisecond)
		close(s.stopping)
		g.GracefulStop()
		all.Wait()
		if answered.Load() == 0 || elsewhere.Load() == 0 {
			t.Errorf("%d answered, %d sent elsewhere", answered.Load(), elsewhere.Load())
		}
	})
}

func TestServerWithoutTheMethodIsAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &server{}
		c, _ := dial(t, s)
		for range 5 {
			if _, err := c.Do(t.Context(), get("a"), time.Minute); !errors.Is(err, exchange.ErrNoStream) {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := s.streams.Load(); n != 1 {
			t.Errorf("it was asked %d times", n)
		}
	})
}
