// Package objects is what all doors of the apiserver share: it reads, watches
// and changes objects as Kubernetes' API describes it, over the replicated
// state. REST and gRPC only translate.
package objects

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/admission"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
	"github.com/musterhq/muster/services/apiserver/internal/fieldmanager"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Replica is the replicated state. It is called from any goroutine; Apply and
// Read block for as long as the cluster needs, or until ctx ends.
type Replica interface {
	// Apply proposes a transaction and returns what became of it.
	Apply(ctx context.Context, tx *storev1.Transaction) (*storev1.Result, error)
	// ApplyAll proposes several, each for itself, and returns what became of each.
	ApplyAll(ctx context.Context, txs []*storev1.Transaction) []replica.Outcome
	// Read returns a view that holds every write acknowledged before the call.
	Read(ctx context.Context) (state.View, error)
	// ReadNow returns the same where that waits for nobody, and false elsewhere.
	ReadNow() (state.View, bool)
	// Store returns the local member's state.
	Store() *state.Store
}

// readTimeout bounds a read while no server leads. An election takes a second or
// two: what has no leader after so many of them has no majority, and whoever
// asked is better told so.
const readTimeout = 10 * time.Second

// Limits of the cache of JSON encodings.
const (
	jsonCacheEntries = 4096
	jsonCacheLargest = 32 << 10 // bytes
)

// Config is what New needs.
type Config struct {
	// Kinds that are served.
	Kinds *registry.Table
	// Replica that holds the objects.
	Replica Replica
	// Authorizer says who may do what; nil is one over the replica's store.
	Authorizer *auth.Authorizer
	// Answers has a function for each kind or subresource that is answered and not
	// stored, by its StoreResource: "subjectaccessreviews.authorization.k8s.io",
	// "serviceaccounts/token".
	Answers map[string]Answerer
	// RootCA is the cluster's certificates in PEM, which every new namespace gets in a
	// config map; empty for none.
	RootCA []byte
	// Admission says how admission is set up.
	Admission admission.Options
	// Now is the clock by which objects are stamped and expire; nil is this
	// machine's.
	Now func() time.Time
}

// Service reads and changes objects. All methods may be called from any
// goroutine; all errors that a client caused are *apierrors.StatusError.
type Service struct {
	kinds   *registry.Table
	replica Replica
	answers map[string]Answerer
	auth    *auth.Authorizer
	rootCA  []byte
	now     func() time.Time
	json    *lru.Cache[*state.Entry, []byte]

	admission *admission.Chain
	lines     lines
	fields    *fieldmanager.Tracker
}

// New returns a Service over cfg.
func New(cfg Config) (*Service, error) {
	if cfg.Kinds == nil || cfg.Replica == nil {
		return nil, errors.New("new object service: kinds and replica are required")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Authorizer == nil {
		cfg.Authorizer = auth.NewAuthorizer(cfg.Replica.Store())
	}
	cache, err := lru.New[*state.Entry, []byte](jsonCacheEntries)
	if err != nil {
		return nil, fmt.Errorf("new object service: %w", err)
	}
	return &Service{
		kinds: cfg.Kinds, replica: cfg.Replica, answers: cfg.Answers, rootCA: cfg.RootCA, now: cfg.Now, json: cache,
		auth: cfg.Authorizer, admission: admission.New(cfg.Kinds, cfg.Admission),
		fields: fieldmanager.New(cfg.Kinds.Kinds()),
	}, nil
}

// Authorizer returns what decides about the objects.
func (s *Service) Authorizer() *auth.Authorizer { return s.auth }

// Kinds returns the kinds that are served.
func (s *Service) Kinds() *registry.Table { return s.kinds }

// Target names what a request is about.
type Target struct {
	// Kind of the object.
	Kind *registry.Kind
	// Namespace, empty for cluster-scoped kinds and for all namespaces.
	Namespace string
	// Name, empty for collections.
	Name string
	// Subresource, empty for the object itself.
	Subresource string
}

func (t Target) key() state.Key {
	return state.Key{Resource: t.Kind.StoreResource(), Namespace: t.Namespace, Name: t.Name}
}

// JSON returns the object in JSON, from the cache where it is there. The bytes
// are shared and not to be modified.
func (s *Service) JSON(o Stored) ([]byte, error) {
	if o.entry == nil || o.seenAs != nil || o.protobufSize() > jsonCacheLargest {
		return o.AppendJSON(nil)
	}
	if out, ok := s.json.Get(o.entry); ok {
		return out, nil
	}
	out, err := o.AppendJSON(nil)
	if err != nil {
		return nil, err
	}
	s.json.Add(o.entry, out)
	return out, nil
}

// Ready tells whether this member can read: it answers within ctx.
func (s *Service) Ready(ctx context.Context) error {
	_, err := s.read(ctx)
	return err
}

func (s *Service) read(ctx context.Context) (state.View, error) {
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > readTimeout {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, readTimeout)
		defer cancel()
	}
	return s.replica.Read(ctx)
}

// authorize checks that the caller in ctx may do verb on t.
func (s *Service) authorize(ctx context.Context, verb string, t Target, selector fields.Selector) error {
	user, ok := access.UserFrom(ctx)
	if !ok {
		return apierrors.NewUnauthorized("Unauthorized")
	}
	if t.Subresource == "" && !slices.Contains(t.Kind.Verbs, verb) {
		return apierrors.NewMethodNotSupported(t.Kind.GroupResource(), verb)
	}
	return s.auth.Authorize(auth.Request{
		User: user, Verb: verb, Resource: t.Kind.GroupResource(), Subresource: t.Subresource,
		Namespace: t.Namespace, Name: t.Name, Fields: selector,
	})
}

func (s *Service) authorizeChange(ctx context.Context, verb string, t Target, old, obj registry.Object) error {
	user, ok := access.UserFrom(ctx)
	if !ok {
		return apierrors.NewUnauthorized("Unauthorized")
	}
	return s.auth.AuthorizeChange(auth.Request{
		User: user, Verb: verb, Resource: t.Kind.GroupResource(), Subresource: t.Subresource,
		Namespace: t.Namespace, Name: t.Name,
	}, old, obj)
}

// authorizeNeeds checks what a change takes beside the permission to make it: to
// approve for a signer, to sign as one. old is nil for a new object.
func (s *Service) authorizeNeeds(ctx context.Context, t Target, old, obj registry.Object) error {
	find := t.Kind.Needs
	if sub, ok := t.Kind.Subresource(t.Subresource); ok {
		find = sub.Needs
	}
	if find == nil {
		return nil
	}
	needs := find(obj, old)
	if needs == nil {
		return nil
	}
	user, _ := access.UserFrom(ctx)
	for _, name := range needs.Names {
		if s.auth.Authorize(auth.Request{User: user, Verb: needs.Verb, Resource: needs.Resource, Name: name}) == nil {
			return nil
		}
	}
	return apierrors.NewForbidden(t.Kind.GroupResource(), t.Name, errors.New(needs.Refusal))
}

// unavailable is the answer when the cluster could not be asked.
func unavailable(err error) error {
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return err
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return apierrors.NewTimeoutError(fmt.Sprintf("the cluster did not answer in time: %v", err), 0)
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, replica.ErrInvalid) {
		return apierrors.NewRequestEntityTooLargeError(err.Error())
	}
	if errors.Is(err, replica.ErrDiskFull) {
		return insufficientStorage(err)
	}
	return apierrors.NewServiceUnavailable(err.Error())
}

// unsettled is the answer when it is not known what became of a transaction. It
// is a Timeout where the transaction may be applied, since a client takes other
// answers for a promise that nothing was done.
func unsettled(err error) error {
	if errors.Is(err, replica.ErrUnknown) || errors.Is(err, replica.ErrNoLeader) && !errors.Is(err, context.Canceled) {
		return apierrors.NewTimeoutError(fmt.Sprintf("the cluster did not answer in time: %v", err), 0)
	}
	return unavailable(err)
}
