package replica

import (
	"errors"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
)

// downstream answers the questions of one member.
type downstream struct {
	replica *Replica
	calls   grpc.BidiStreamingServer[clusterv1.ForwardRequest, clusterv1.ForwardResponse]
	open    atomic.Int32                    // questions
	answers chan *clusterv1.ForwardResponse // has room for all that may be open
	ended   chan error
}

// Forward answers what another member asks of the leader.
func (s service) Forward(calls grpc.BidiStreamingServer[clusterv1.ForwardRequest, clusterv1.ForwardResponse]) error {
	d := &downstream{
		replica: s.replica,
		calls:   calls,
		answers: make(chan *clusterv1.ForwardResponse, asksMax),
		ended:   make(chan error, 1),
	}
	go d.receive()
	for {
		select {
		case a := <-d.answers:
			if err := calls.Send(a); err != nil {
				return err
			}
			d.open.Add(-1)
		case err := <-d.ended:
			return err
		case <-s.replica.leaving:
			return status.Error(codes.Unavailable, ErrStopped.Error())
		}
	}
}

// receive takes questions until the stream ends, which Forward's return brings
// about if nothing else does.
func (d *downstream) receive() {
	for {
		request, err := d.calls.Recv()
		if err == nil {
			err = d.ask(request)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			d.ended <- err
			return
		}
	}
}

func (d *downstream) ask(request *clusterv1.ForwardRequest) error {
	if d.open.Add(1) > asksMax {
		return status.Errorf(codes.ResourceExhausted, "more than %d questions are open", asksMax)
	}
	switch question := request.GetQuestion().(type) {
	case *clusterv1.ForwardRequest_Propose:
		return d.propose(request.GetId(), question.Propose)
	case *clusterv1.ForwardRequest_ReadIndex:
		go func() {
			index, err := d.replica.confirmed(d.calls.Context())
			d.answer(&clusterv1.ForwardResponse{Id: request.GetId(), Index: index}, err)
		}()
		return nil
	}
	return status.Errorf(codes.Unimplemented, "question %d is of an unknown kind", request.GetId())
}

// propose puts transactions among those of this member, so that they share log
// entries.
func (d *downstream) propose(id uint64, p *clusterv1.Proposal) error {
	answer := func(results []*storev1.Result, err error) {
		d.answer(&clusterv1.ForwardResponse{Id: id, Results: results}, err)
	}
	if err := checkEncoded(p.GetTransactions(), int(p.GetCount())); err != nil {
		answer(nil, err)
		return nil
	}
	ctx := d.calls.Context()
	return d.replica.proposals.add(ctx, &proposal{ctx: ctx, encoded: p.GetTransactions(), count: int(p.GetCount()), answer: answer})
}

// answer answers a question.
func (d *downstream) answer(response *clusterv1.ForwardResponse, err error) {
	if err != nil {
		s := status.Convert(asStatus(err))
		response.Code, response.Message = uint32(s.Code()), s.Message()
	}
	d.answers <- response
}
