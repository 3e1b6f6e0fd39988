package serviceaccount

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// Replica is the replicated state that holds the service accounts. It is called from
// any goroutine; Read blocks until ctx ends at the longest.
type Replica interface {
	// Read returns a view that holds every write acknowledged before the call.
	Read(ctx context.Context) (state.View, error)
	// Store returns the local member's state.
	Store() *state.Store
}

// Config is what New needs.
type Config struct {
	Replica Replica
	Keys    *Keys
	// Issuer of the tokens, a URL; DefaultIssuer if empty.
	Issuer string
	// Audiences of tokens that name none, and of this API; the issuer if empty.
	Audiences []string
	// Now is the clock that tokens expire by; nil is this machine's.
	Now func() time.Time
}

// DefaultIssuer is Kubernetes' own, where no other is asked for.
const DefaultIssuer = "https://kubernetes.default.svc.cluster.local"

// Tokens issues and verifies the tokens of service accounts. It may be called from any
// goroutine.
type Tokens struct {
	config Config
	known  *cache
}

// New returns Tokens.
func New(config Config) (*Tokens, error) {
	if config.Replica == nil || config.Keys == nil {
		return nil, errors.New("new service account tokens: replica and keys are required")
	}
	if config.Issuer == "" {
		config.Issuer = DefaultIssuer
	}
	if len(config.Audiences) == 0 {
		config.Audiences = []string{config.Issuer}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Tokens{config: config, known: newCache()}, nil
}

// Audiences are those that a token must have one of to be good for this API.
func (t *Tokens) Audiences() []string { return t.config.Audiences }

// The seconds that a token may be asked for.
const (
	defaultSeconds = 60 * 60
	leastSeconds   = 10 * 60
	mostSeconds    = 1 << 32
)

// validated completes a request and says what is wrong with it.
func validated(request *authenticationv1.TokenRequest) error {
	if request.Spec.ExpirationSeconds == nil {
		request.Spec.ExpirationSeconds = new(int64(defaultSeconds))
	}
	at, seconds := field.NewPath("spec", "expirationSeconds"), *request.Spec.ExpirationSeconds
	var errs field.ErrorList
	if seconds < leastSeconds {
		errs = append(errs, field.Invalid(at, seconds, "may not specify a duration less than 10 minutes"))
	}
	if seconds > mostSeconds {
		errs = append(errs, field.Invalid(at, seconds, "may not specify a duration larger than 2^32 seconds"))
	}
	if len(errs) > 0 {
		return apierrors.NewInvalid(tokenRequest, request.Name, errs)
	}
	return nil
}

var tokenRequest = authenticationv1.SchemeGroupVersion.WithKind("TokenRequest").GroupKind()

// Issue answers a request for a token of the service account. It modifies the request.
func (t *Tokens) Issue(ctx context.Context, namespace, name string, request *authenticationv1.TokenRequest) error {
	if err := validated(request); err != nil {
		return err
	}
	if err := matches(namespace, name, request); err != nil {
		return err
	}
	view, err := t.config.Replica.Read(ctx)
	if err != nil {
		return fmt.Errorf("issue token for %s/%s: %w", namespace, name, err)
	}
	account := new(corev1.ServiceAccount)
	if err := find(view, "serviceaccounts", namespace, name, account); err != nil {
		return err
	}
	if len(request.Spec.Audiences) == 0 {
		request.Spec.Audiences = t.config.Audiences
	}
	now, life := t.config.Now(), time.Duration(*request.Spec.ExpirationSeconds)*time.Second
	c := newClaims(t.config.Issuer, account, request.Spec.Audiences, now, life)
	if ref := request.Spec.BoundObjectRef; ref != nil {
		if err := c.bind(view, account, ref); err != nil {
			return err
		}
	}
	if c.Kubernetes.Pod != nil && life == mountedLife && t.forUs(request.Spec.Audiences) {
		c.Kubernetes.WarnAfter = c.Expiry
		c.Expiry = jwt.NewNumericDate(now.Add(extendedLife))
	}
	request.Name, request.Namespace = account.Name, account.Namespace
	request.Status.ExpirationTimestamp = metav1.NewTime(now.Add(life).Truncate(time.Second))
	request.Status.Token, err = t.sign(issued{c, c.Audience})
	return err
}

// issued are claims whose audiences are a list, also where there is one, as in the
// tokens of Kubernetes.
type issued struct {
	*claims
	Audience []string `json:"aud,omitempty"`
}

func (t *Tokens) sign(c any) (string, error) {
	token, err := jwt.Signed(t.config.Keys.signer).Claims(c).Serialize()
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return token, nil
}

func (t *Tokens) forUs(audiences []string) bool {
	return !slices.ContainsFunc(audiences, func(a string) bool { return !slices.Contains(t.config.Audiences, a) })
}

// matches refuses a request that names another account than its URL.
func matches(namespace, name string, request *authenticationv1.TokenRequest) error {
	invalid := func(part, value string) error {
		return apierrors.NewInvalid(tokenRequest, name, field.ErrorList{
			field.Invalid(field.NewPath("metadata", part), value, "must match the service account "+part+" if specified"),
		})
	}
	if request.Name != "" && request.Name != name {
		return invalid("name", request.Name)
	}
	if request.Namespace != "" && request.Namespace != namespace {
		return invalid("namespace", request.Namespace)
	}
	return nil
}

// bind makes the token depend on an object.
func (c *claims) bind(view state.View, account *corev1.ServiceAccount, to *authenticationv1.BoundObjectReference) error {
	gvk := schema.FromAPIVersionAndKind(to.APIVersion, to.Kind)
	var uid types.UID
	switch {
	case gvk.Group == "" && gvk.Kind == "Pod":
		pod := new(corev1.Pod)
		if err := find(view, "pods", account.Namespace, to.Name, pod); err != nil {
			return err
		}
		if pod.Spec.ServiceAccountName != account.Name {
			return apierrors.NewBadRequest(fmt.Sprintf("cannot bind token for serviceaccount %q to pod running with serviceaccount %q",
				account.Name, pod.Spec.ServiceAccountName))
		}
		uid, c.Kubernetes.Pod, c.Kubernetes.Node = pod.UID, refOf(pod), nodeOf(view, pod)
	case gvk.Group == "" && gvk.Kind == "Node":
		node := new(corev1.Node)
		if err := find(view, "nodes", "", to.Name, node); err != nil {
			return err
		}
		uid, c.Kubernetes.Node = node.UID, refOf(node)
	case gvk.Group == "" && gvk.Kind == "Secret":
		secret := new(corev1.Secret)
		if err := find(view, "secrets", account.Namespace, to.Name, secret); err != nil {
			return err
		}
		uid, c.Kubernetes.Secret = secret.UID, refOf(secret)
	default:
		return apierrors.NewBadRequest("cannot bind token to object of type " + gvk.String())
	}
	if to.UID != "" && to.UID != uid {
		return apierrors.NewConflict(schema.GroupResource{Group: gvk.Group, Resource: gvk.Kind}, to.Name, fmt.Errorf(
			"the UID in the bound object reference (%s) does not match the UID in record. The object might have been deleted and then recreated", to.UID))
	}
	return nil
}

// nodeOf returns the node that a pod runs on. The token does not depend on it: the pod
// goes with its node.
func nodeOf(view state.View, pod *corev1.Pod) *ref {
	if pod.Spec.NodeName == "" {
		return nil
	}
	node := new(corev1.Node)
	if find(view, "nodes", "", pod.Spec.NodeName, node) != nil {
		return &ref{Name: pod.Spec.NodeName}
	}
	return refOf(node)
}

// find reads an object of the core group.
func find(view state.View, resource, namespace, name string, into interface{ Unmarshal([]byte) error }) error {
	e, ok := view.Get(state.Key{Resource: resource, Namespace: namespace, Name: name})
	if !ok {
		return apierrors.NewNotFound(corev1.Resource(resource), name)
	}
	if err := into.Unmarshal(e.Value()); err != nil {
		return fmt.Errorf("read %s %s/%s: %w", resource, namespace, name, err)
	}
	return nil
}
