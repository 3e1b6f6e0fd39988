package rpc_test

import (
	"context"
	"errors"
	"io"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	sdkexchange "github.com/musterhq/muster/sdk/exchange"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// exchanger makes calls over a stream, all of a message at a time.
type exchanger struct {
	t      *testing.T
	stream apiv1.ObjectService_ExchangeClient
}

func exchange(t *testing.T, c apiv1.ObjectServiceClient) exchanger {
	t.Helper()
	stream, err := c.Exchange(t.Context(), grpc.ForceCodecV2(sdkexchange.Codec()))
	if err != nil {
		t.Fatal(err)
	}
	return exchanger{t, stream}
}

// ask returns the answers in the order of the calls.
func (e exchanger) ask(calls ...*apiv1.Call) []*apiv1.Answer {
	e.t.Helper()
	for i, c := range calls {
		c.Id = uint64(i)
	}
	if err := e.stream.Send(&apiv1.ExchangeRequest{Calls: calls}); err != nil {
		e.t.Fatal(err)
	}
	answers := make([]*apiv1.Answer, len(calls))
	for n := 0; n < len(calls); {
		response, err := e.stream.Recv()
		if err != nil {
			e.t.Fatal(err)
		}
		for _, a := range response.GetAnswers() {
			answers[a.GetId()] = a
			n++
		}
	}
	return answers
}

func doing(op *apiv1.Operation) *apiv1.Call {
	return &apiv1.Call{Request: &apiv1.Call_Operation{Operation: op}}
}

func creating(o *anypb.Any, dryRun bool) *apiv1.Operation {
	return &apiv1.Operation{Request: &apiv1.Operation_Create{Create: &apiv1.CreateRequest{Object: o, DryRun: dryRun}}}
}

func updating(o *anypb.Any) *apiv1.Operation {
	return &apiv1.Operation{Request: &apiv1.Operation_Update{Update: &apiv1.UpdateRequest{Object: o}}}
}

func deleting(name string) *apiv1.Operation {
	return &apiv1.Operation{Request: &apiv1.Operation_Delete{Delete: &apiv1.DeleteRequest{Key: &apiv1.ObjectKey{Type: cmType, Namespace: "default", Name: name}}}}
}

func configMap(name string) *anypb.Any { return configMapWith(name, "") }

func configMapWith(name, value string) *anypb.Any {
	raw, _ := (&corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Data: map[string]string{"key": value},
	}).Marshal() // never fails
	return &anypb.Any{TypeUrl: prefix + cmType, Value: raw}
}

func codeName(f *apiv1.Failure) string { return codes.Code(f.GetCode()).String() }

func getting(name, subresource string) *apiv1.Call {
	return &apiv1.Call{Request: &apiv1.Call_Get{Get: &apiv1.GetRequest{
		Key: &apiv1.ObjectKey{Type: cmType, Namespace: "default", Name: name}, Subresource: subresource}}}
}

func TestExchangedCallsStandForThemselves(t *testing.T) {
	c := dial(t)
	e := exchange(t, c)
	answers := e.ask(
		doing(creating(configMap("a"), false)),
		doing(creating(configMap("a"), false)), // one of the two is there already
		doing(creating(configMap("dry"), true)),
		doing(creating(configMap("Not Valid"), false)),
		doing(deleting("none")),
		doing(&apiv1.Operation{}),
		doing(creating(configMap("b"), false)),
	)
	var created int
	for i, want := range []string{"", "", "", "InvalidArgument", "NotFound", "InvalidArgument", ""} {
		got := ""
		if f := answers[i].GetFailure(); f != nil {
			got = codeName(f)
		}
		switch {
		case i < 2 && got == "":
			created++
		case i < 2 && got == "AlreadyExists":
		case got != want:
			t.Errorf("call %d: %q, want %q: %v", i, got, want, answers[i])
		}
	}
	if created != 1 {
		t.Errorf("%d of two creations succeeded", created)
	}
	for i, a := range e.ask(getting("a", ""), getting("b", ""), getting("dry", ""), getting("a", "status")) {
		if there := a.GetFailure() == nil; there != (i < 2) {
			t.Errorf("get %d: %v", i, a)
		}
	}
	a := e.ask(doing(deleting("a")))[0]
	if a.GetFailure() != nil || !a.GetGone() {
		t.Errorf("delete: %v", a)
	}
}

// The stream's codec does not check strings: a key that no object has is refused.
func TestExchangeRefusesKeysThatAreNotUTF8(t *testing.T) {
	e := exchange(t, dial(t))
	for i, a := range e.ask(getting("\xff", ""), doing(deleting("a\xc3("))) {
		if got := codeName(a.GetFailure()); got != "InvalidArgument" {
			t.Errorf("call %d: %s: %v", i, got, a)
		}
	}
}

// What a call is answered over the stream is what the RPC answers.
func TestExchangeAnswersLikeTheRPC(t *testing.T) {
	c := dial(t)
	e := exchange(t, c)
	if a := e.ask(doing(creating(configMap("a"), false)))[0]; a.GetFailure() != nil {
		t.Fatal(a)
	}
	byStream := e.ask(getting("a", ""), getting("none", ""))
	byRPC, err := c.Get(t.Context(), getting("a", "").GetGet())
	if err != nil || !proto.Equal(byRPC.GetObject(), byStream[0].GetObject()) {
		t.Errorf("get: %v and %v, %v", byStream[0], byRPC, err)
	}
	_, err = c.Get(t.Context(), getting("none", "").GetGet())
	want, got := status.Convert(err).Proto(), byStream[1].GetFailure()
	if got.GetCode() != want.GetCode() || got.GetMessage() != want.GetMessage() || len(got.GetDetails()) != 1 || !proto.Equal(got.GetDetails()[0], want.GetDetails()[0]) {
		t.Errorf("refusal: %v, want %v", got, want)
	}
	// An update that changes nothing keeps the revision; one that lost a race is planned again.
	same := e.ask(doing(updating(byRPC.GetObject())), doing(updating(configMapWith("a", "x"))), doing(updating(configMapWith("a", "y"))))
	for i, a := range same {
		if a.GetFailure() != nil && (i > 0 || codeName(a.GetFailure()) != "Aborted") {
			t.Errorf("update %d: %v", i, a)
		}
	}
}

// A member that is behind refuses nothing before it has asked the others.
func TestExchangedCallsSeeWhatThisMemberHadNotYet(t *testing.T) {
	replica := objectstest.NewReplica()
	c := dialOver(t, replica)
	e := exchange(t, c)
	if a := e.ask(doing(creating(configMap("warm"), false)))[0]; a.GetFailure() != nil {
		t.Fatal(a)
	}
	var once sync.Once
	replica.BeforeRead = func() {
		once.Do(func() {
			if _, err := c.Create(context.Background(), &apiv1.CreateRequest{Object: configMap("late")}); err != nil {
				t.Error(err)
			}
		})
	}
	if a := e.ask(doing(updating(configMapWith("late", "x"))))[0]; a.GetFailure() != nil {
		t.Errorf("update of what others know: %v", a)
	}
}

// What lost a race is planned again with the object that was sent, not with what
// the first plan made of it.
func TestExchangedCallsThatLostARaceAreMadeAgain(t *testing.T) {
	replica := objectstest.NewReplica()
	c := dialOver(t, replica)
	e := exchange(t, c)
	if a := e.ask(doing(creating(configMap("a"), false)))[0]; a.GetFailure() != nil {
		t.Fatal(a)
	}
	namespace := pack(t, "k8s.io.api.core.v1.Namespace", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "default", Labels: map[string]string{"rival": ""}}})
	replica.BeforeApply = func() {
		for _, rival := range []*anypb.Any{namespace, configMapWith("a", "rival")} {
			if _, err := c.Update(context.Background(), &apiv1.UpdateRequest{Object: rival}); err != nil {
				t.Error(err)
			}
		}
	}
	bare := pack(t, cmType, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Data: map[string]string{"key": "mine"}})
	update := updating(bare)
	update.GetUpdate().Key = getting("a", "").GetGet().GetKey()
	for i, a := range e.ask(doing(creating(configMapWith("b", "mine"), false)), doing(update)) {
		var got corev1.ConfigMap
		if err := got.Unmarshal(a.GetObject().GetValue()); err != nil || a.GetFailure() != nil {
			t.Fatalf("call %d: %v, %v", i, a, err)
		}
		if got.Namespace != "default" || got.Data["key"] != "mine" || got.UID == "" {
			t.Errorf("call %d: %+v", i, got)
		}
	}
}

// Who calls is settled when a stream begins, so none lasts.
func TestStreamsOfCallsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := exchange(t, dial(t))
		begun := time.Now()
		response, err := e.stream.Recv()
		if err != nil || !response.GetClosing() || time.Since(begun) > 10*time.Minute {
			t.Fatalf("after %v: %v, %v", time.Since(begun), response, err)
		}
		// What was under way is answered yet.
		if a := e.ask(doing(creating(configMap("a"), false)))[0]; a.GetFailure() != nil {
			t.Error(a)
		}
		if err := e.stream.CloseSend(); err != nil {
			t.Error(err)
		}
		if _, err := e.stream.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("the stream ends with %v", err)
		}
	})
}

// An answer leaves out what the call sent, but only if it is stored as sent.
func TestAnswersSpareWhatWasSent(t *testing.T) {
	client := dial(t)
	e := exchange(t, client)
	for _, c := range []struct {
		name   string
		sent   *anypb.Any
		spared bool
	}{
		{"as sent", configMap("a"), true},
		{"with defaults", pack(t, podType, newPod("a")), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			call := doing(creating(c.sent, false))
			call.Spare = true
			a := e.ask(call)[0]
			if a.GetFailure() != nil || a.GetSpared() != c.spared {
				t.Fatalf("answer %v", a)
			}
		})
	}
	caller := sdkexchange.NewCaller(client)
	t.Cleanup(caller.Close)
	sent := configMapWith("a", "changed")
	for {
		answer, err := caller.Do(t.Context(), doing(updating(sent)), time.Minute)
		if errors.Is(err, sdkexchange.ErrNoStream) {
			runtime.Gosched()
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		stored, err := client.Get(t.Context(), getting("a", "").GetGet())
		var got, want corev1.ConfigMap
		if err := errors.Join(err, got.Unmarshal(answer.Parts[0]), got.Unmarshal(answer.Parts[1]), want.Unmarshal(stored.GetObject().GetValue())); err != nil {
			t.Fatal(err)
		}
		if len(answer.Parts[1]) == 0 || !reflect.DeepEqual(got, want) || got.Data["key"] != "changed" || got.UID == "" || got.ResourceVersion == "" {
			t.Errorf("the answer holds %v, stored is %v", got, want)
		}
		return
	}
}
