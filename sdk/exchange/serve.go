package exchange

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"

	"golang.org/x/sync/semaphore"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// callsUnderWay is how many calls of one stream may wait for their answers.
// While as many do, no more are read: the client's side of the stream fills.
const callsUnderWay = 8192

// Handler answers calls that arrived together. It calls answer from any
// goroutine, as often as it likes, and each call's answer exactly once; it has
// done so when it returns.
type Handler func(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer))

// Prompt answers calls that wait for nobody, and returns false where there are
// others among them: the Handler is called then, and nothing was answered. No more
// calls are read meanwhile.
type Prompt func(ctx context.Context, calls []*apiv1.Call, answer func(...*apiv1.Answer)) bool

// Serve serves one stream until the client closes its side and has its answers,
// or the stream breaks. When stopping is closed it asks the client to go.
func Serve(stream grpc.BidiStreamingServer[apiv1.ExchangeRequest, apiv1.ExchangeResponse], stopping <-chan struct{}, prompt Prompt, handle Handler) error {
	s := &server{
		stream: stream, prompt: prompt, handle: handle, out: outbox{send: stream.Send},
		underWay: semaphore.NewWeighted(callsUnderWay), work: make(chan []*apiv1.Call),
	}
	// The client makes no calls before it has seen that the method is there.
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	finished := make(chan struct{})
	var asking sync.WaitGroup
	asking.Go(func() {
		select {
		case <-stopping:
			s.out.close()
		case <-finished:
		}
	})
	err := s.read()
	close(s.work)
	s.workers.Wait()
	close(finished)
	asking.Wait()
	return errors.Join(err, s.out.failed())
}

// server is one stream, seen by the server.
type server struct {
	stream   grpc.BidiStreamingServer[apiv1.ExchangeRequest, apiv1.ExchangeResponse]
	prompt   Prompt
	handle   Handler
	underWay *semaphore.Weighted
	pending  atomic.Int64 // calls that are not answered yet

	work    chan []*apiv1.Call
	workers sync.WaitGroup
	out     outbox
}

// read hands calls to workers. A worker stays for the next calls, with the stack
// that it has grown.
func (s *server) read() error {
	ctx := s.stream.Context()
	for {
		request, err := s.stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		calls := request.GetCalls()
		if len(calls) == 0 {
			continue
		}
		if s.prompt != nil && s.prompt(ctx, calls, s.promptly) {
			continue
		}
		if err := s.underWay.Acquire(ctx, weightOf(len(calls))); err != nil {
			return status.FromContextError(err).Err()
		}
		s.pending.Add(int64(len(calls)))
		select {
		case s.work <- calls:
		default:
			s.workers.Go(func() { s.worker(ctx, calls) })
		}
	}
}

func weightOf(calls int) int64 { return int64(min(calls, callsUnderWay)) }

func (s *server) worker(ctx context.Context, calls []*apiv1.Call) {
	for ok := true; ok; calls, ok = <-s.work {
		s.handle(ctx, calls, s.answer)
		s.underWay.Release(weightOf(len(calls)))
	}
}

func (s *server) answer(answers ...*apiv1.Answer) {
	s.out.put(answers, s.pending.Add(-int64(len(answers))) > 0)
}

// promptly sends answers to calls of which nobody else knows.
func (s *server) promptly(answers ...*apiv1.Answer) { s.out.put(answers, false) }

// fitting is how many answers go into the next message.
func fitting(answers []*apiv1.Answer) int {
	n, bytes := 0, 0
	for _, a := range answers {
		bytes += 64 + len(a.GetObject().GetValue())
		if n == messageCalls || n > 0 && bytes > messageBytes {
			break
		}
		n++
	}
	return n
}

// Refused returns the answer to a call that failed with the error of an RPC.
func Refused(call *apiv1.Call, err error) *apiv1.Answer {
	p := status.Convert(err).Proto()
	return &apiv1.Answer{Id: call.GetId(), Failure: &apiv1.Failure{Code: p.GetCode(), Message: p.GetMessage(), Details: p.GetDetails()}}
}

// statusProto keeps nothing of the message that the failure came in: errors are
// kept for long.
func statusProto(f *apiv1.Failure) *spb.Status {
	s := &spb.Status{Code: f.GetCode(), Message: strings.Clone(f.GetMessage())}
	for _, d := range f.GetDetails() {
		s.Details = append(s.Details, &anypb.Any{TypeUrl: strings.Clone(d.GetTypeUrl()), Value: bytes.Clone(d.GetValue())})
	}
	return s
}
