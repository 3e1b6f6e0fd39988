package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/integration/linear"
	"github.com/musterhq/muster/sdk"
)

// label is on every object that a worker writes.
const label = "chaos"

// worker is a client that makes one random request after the other, of a member
// that it changes from time to time.
type worker struct {
	run    *run
	number int
	rand   *rand.Rand

	client *sdk.Client
	left   int // requests until it moves on
	writes int
	known  map[string]linear.Item // as last read or written
}

// work goes on until stop is closed.
func (w *worker) work(stop <-chan struct{}) error {
	defer w.leave()
	for {
		if err := w.move(); err != nil {
			return err
		}
		w.request(w.choose())
		pause := time.NewTimer(time.Duration(w.rand.Int64N(int64(w.run.options.Pause) + 1)))
		select {
		case <-pause.C:
		case <-stop:
			pause.Stop()
			return nil
		}
	}
}

func (w *worker) leave() {
	if w.client != nil {
		_ = w.client.Close()
		w.client = nil
	}
}

// move goes to another member when it is time. Every fourth worker has a client
// that knows them all, as programs have.
func (w *worker) move() (err error) {
	if w.left--; w.client != nil && w.left > 0 {
		return nil
	}
	w.leave()
	w.left = 1 + w.rand.IntN(60)
	var members []string
	if w.number%4 != 0 {
		all := w.run.cluster.Members()
		members = append(members, all[w.rand.IntN(len(all))])
	}
	w.client, err = w.run.cluster.Dial(members...)
	return err
}

// choose draws a request.
func (w *worker) choose() linear.Request {
	key := w.key()
	switch n := w.rand.IntN(100); {
	case n < 30:
		return linear.Request{Get: key}
	case n < 40:
		return linear.Request{List: ranges[w.rand.IntN(len(ranges))]}
	case n < 85:
		return linear.Request{Steps: []linear.Step{w.step(key)}}
	}
	var steps []linear.Step
	for _, i := range w.rand.Perm(len(w.run.keys))[:2+w.rand.IntN(2)] {
		steps = append(steps, w.step(w.run.keys[i]))
	}
	return linear.Request{Steps: steps}
}

func (w *worker) key() string { return w.run.keys[w.rand.IntN(len(w.run.keys))] }

// step draws a change of a key: mostly one that may well succeed by what this
// worker knows, which others change meanwhile.
func (w *worker) step(key string) linear.Step {
	s := linear.Step{Verb: linear.Create, Key: key}
	known, there := w.known[key]
	if there != (w.rand.IntN(8) == 0) {
		s.Verb = linear.Update
		if w.rand.IntN(3) == 0 {
			s.Verb = linear.Delete
		}
		if w.rand.IntN(2) == 0 {
			s.If = known.Revision
		}
	}
	if s.Verb != linear.Delete {
		w.writes++
		s.Value = fmt.Sprintf("%s.%d.%d", w.run.name, w.number, w.writes)
	}
	return s
}

// request makes a request and takes down what became of it.
func (w *worker) request(r linear.Request) linear.Response {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second+time.Duration(w.rand.Int64N(int64(4*time.Second))))
	defer cancel()
	call := w.run.recorder.Call()
	response, err := w.do(ctx, r)
	if err != nil {
		response = failed(err)
	}
	w.learn(r, response)
	w.run.recorder.Return(w.number, call, r, response)
	w.run.count(r, response)
	if response.Outcome != linear.Done && w.rand.IntN(4) == 0 {
		w.left = 0
	}
	return response
}

func (w *worker) do(ctx context.Context, r linear.Request) (linear.Response, error) {
	switch {
	case r.Get != "":
		return w.get(ctx, r.Get)
	case r.List != "":
		return w.list(ctx, r.List)
	case len(r.Steps) > 1:
		return w.transact(ctx, r.Steps)
	}
	return w.change(ctx, r.Steps[0])
}

func (w *worker) get(ctx context.Context, key string) (linear.Response, error) {
	namespace, name, _ := strings.Cut(key, "/")
	m, err := sdk.Get[*corev1.ConfigMap](ctx, w.client, namespace, name)
	if apierrors.IsNotFound(err) {
		return linear.Response{Outcome: linear.Done}, nil
	} else if err != nil {
		return linear.Response{}, err
	}
	return linear.Response{Outcome: linear.Done, Items: []linear.Item{itemOf(m)}}, nil
}

func (w *worker) list(ctx context.Context, namespace string) (linear.Response, error) {
	page, err := sdk.List[*corev1.ConfigMap](ctx, w.client, sdk.ListOptions{Namespace: namespace})
	if err != nil {
		return linear.Response{}, err
	}
	out := linear.Response{Outcome: linear.Done, Revision: revision(page.ResourceVersion)}
	for _, m := range page.Items {
		if ours(m) {
			out.Items = append(out.Items, itemOf(m))
		}
	}
	return out, nil
}

func (w *worker) change(ctx context.Context, s linear.Step) (linear.Response, error) {
	object := objectOf(s)
	var err error
	switch s.Verb {
	case linear.Create:
		object, err = sdk.Create(ctx, w.client, object)
	case linear.Update:
		object, err = sdk.Update(ctx, w.client, object)
	default:
		err = sdk.Delete[*corev1.ConfigMap](ctx, w.client, object.Namespace, object.Name, sdk.DeleteOptions{ResourceVersion: object.ResourceVersion})
	}
	if err != nil || s.Verb == linear.Delete {
		return linear.Response{Outcome: linear.Done}, err
	}
	return linear.Response{Outcome: linear.Done, Revisions: []uint64{revision(object.ResourceVersion)}}, nil
}

func (w *worker) transact(ctx context.Context, steps []linear.Step) (linear.Response, error) {
	var operations []sdk.Operation
	for _, s := range steps {
		object := objectOf(s)
		switch s.Verb {
		case linear.Create:
			operations = append(operations, sdk.CreateOp(object))
		case linear.Update:
			operations = append(operations, sdk.UpdateOp(object))
		default:
			operations = append(operations, sdk.DeleteOp[*corev1.ConfigMap](object.Namespace, object.Name, sdk.DeleteOptions{ResourceVersion: object.ResourceVersion}))
		}
	}
	stored, err := w.client.Transact(ctx, operations...)
	if err != nil {
		return linear.Response{}, err
	}
	out := linear.Response{Outcome: linear.Done, Revisions: make([]uint64, len(steps))}
	for i, a := range stored {
		if steps[i].Verb == linear.Delete {
			continue
		}
		object, err := sdk.Decode[*corev1.ConfigMap](a)
		if err != nil {
			return linear.Response{}, err
		}
		out.Revisions[i] = revision(object.ResourceVersion)
	}
	return out, nil
}

// learn keeps what a response tells of the keys, and forgets what it disproves.
func (w *worker) learn(r linear.Request, response linear.Response) {
	for _, s := range r.Steps {
		if response.Outcome != linear.Done || s.Verb == linear.Delete {
			delete(w.known, s.Key)
		}
	}
	for i, at := range response.Revisions {
		if s := r.Steps[i]; at != 0 {
			w.known[s.Key] = linear.Item{Key: s.Key, Value: s.Value, Revision: at}
		}
	}
	if r.Get != "" {
		delete(w.known, r.Get)
	}
	for _, item := range response.Items {
		w.known[item.Key] = item
	}
}

// failed is what an error says of a request's outcome, by what the SDK promises.
func failed(err error) linear.Response {
	out := linear.Response{Outcome: linear.Refused, Reason: string(apierrors.ReasonForError(err)), Error: err.Error()}
	if sdk.OutcomeUnknown(err) {
		out.Outcome = linear.Unknown
	}
	out.At, _ = sdk.RefusedOperation(err)
	return out
}

func objectOf(s linear.Step) *corev1.ConfigMap {
	namespace, name, _ := strings.Cut(s.Key, "/")
	m := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{label: "true"}},
		Data:       map[string]string{"v": s.Value},
	}
	if s.If != 0 {
		m.ResourceVersion = strconv.FormatUint(s.If, 10)
	}
	return m
}

// ours says whether a worker wrote the object. Controllers keep some of their own
// in every namespace.
func ours(m *corev1.ConfigMap) bool { return m.Labels[label] != "" }

func itemOf(m *corev1.ConfigMap) linear.Item {
	return linear.Item{Key: m.Namespace + "/" + m.Name, Value: m.Data["v"], Revision: revision(m.ResourceVersion)}
}

func revision(resourceVersion string) uint64 {
	n, _ := strconv.ParseUint(resourceVersion, 10, 64)
	return n
}
