package serviceaccount

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// leeway is how far clocks may differ, and for how long a token outlives the deletion
// of what it is bound to.
const leeway = time.Minute

var errInvalidated = errors.New("service account token has been invalidated")

// Looks tells whether a bearer token may be one of a service account: three parts, of
// which the middle one names the issuer.
func (t *Tokens) Looks(token string) bool {
	if t.known.tokens.Contains(token) {
		return true
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	var says struct {
		Issuer string `json:"iss"`
	}
	return json.Unmarshal(payload, &says) == nil && (says.Issuer == t.config.Issuer || says.Issuer == legacyIssuer)
}

// Verify returns whom a token stands for, and those of the audiences that it is good
// for, of which there must be one. What this member does not have is looked for once
// more in the cluster's latest state.
func (t *Tokens) Verify(ctx context.Context, token string, audiences []string) (access.User, []string, error) {
	c, err := t.read(token)
	if err != nil {
		return access.User{}, nil, err
	}
	now := t.config.Now()
	if err := c.inTime(now); err != nil {
		return access.User{}, nil, err
	}
	good := slices.DeleteFunc(slices.Clone(c.audiences(t.config.Audiences)), func(a string) bool { return !slices.Contains(audiences, a) })
	if len(good) == 0 {
		return access.User{}, nil, fmt.Errorf("token audiences %q is invalid for the target audiences %q", c.Audience, audiences)
	}
	if err := t.stands(ctx, c, token, now); err != nil {
		return access.User{}, nil, err
	}
	return c.user, good, nil
}

// read returns the claims of a token by this cluster, whose signature is looked at once.
func (t *Tokens) read(token string) (*verified, error) {
	if c, ok := t.known.tokens.Get(token); ok {
		return c, nil
	}
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		return nil, fmt.Errorf("read service account token: %w", err)
	}
	c := new(verified)
	if err := t.config.Keys.open(parsed, c); err != nil {
		return nil, err
	}
	switch c.Issuer {
	case legacyIssuer:
		c.Kubernetes = c.Legacy.bound()
	case t.config.Issuer:
	default:
		return nil, fmt.Errorf("service account token is by %q, not by %q", c.Issuer, t.config.Issuer)
	}
	if c.Subject != username(c.Kubernetes.Namespace, c.Kubernetes.Account.Name) {
		return nil, fmt.Errorf("sub claim %q does not match its service account", c.Subject)
	}
	c.user = c.userOf()
	t.known.tokens.Add(token, c)
	return c, nil
}

// open verifies the signature by the key that the token names, or by all.
func (k *Keys) open(token *jwt.JSONWebToken, into *verified) error {
	for _, header := range token.Headers {
		if key, ok := k.byID[header.KeyID]; ok {
			return token.Claims(key, into)
		}
	}
	err := errors.New("service account token is signed by no key of this cluster")
	for _, key := range k.byID {
		if err = token.Claims(key, into); err == nil {
			return nil
		}
	}
	return err
}

// verified are claims whose signature is good.
type verified struct {
	claims
	Legacy legacy

	user access.User
}

// UnmarshalJSON reads the claims of both forms of tokens.
func (c *verified) UnmarshalJSON(text []byte) error {
	if err := json.Unmarshal(text, &c.claims); err != nil {
		return err
	}
	return json.Unmarshal(text, &c.Legacy)
}

func (c *verified) audiences(ours []string) []string {
	if c.Issuer == legacyIssuer {
		return ours // Such a token names none.
	}
	return c.Audience
}

func (c *claims) inTime(now time.Time) error {
	switch err := c.ValidateWithLeeway(jwt.Expected{Time: now}, leeway); {
	case errors.Is(err, jwt.ErrExpired):
		return errors.New("service account token has expired")
	case errors.Is(err, jwt.ErrNotValidYet):
		return errors.New("service account token is not valid yet")
	default:
		return err
	}
}

// stands tells whether all that the token is bound to is still there.
func (t *Tokens) stands(ctx context.Context, c *verified, token string, now time.Time) error {
	err := c.check(objects{t.known, t.config.Replica.Store().View(), now}, token)
	if err == nil {
		return nil
	}
	view, readErr := t.config.Replica.Read(ctx)
	if readErr != nil {
		return fmt.Errorf("verify service account token: %w", readErr)
	}
	return c.check(objects{t.known, view, now}, token)
}

func (c *verified) check(in objects, token string) error {
	if err := c.Kubernetes.check(in); err != nil || c.Issuer != legacyIssuer {
		return err
	}
	return c.Legacy.check(in, token)
}

// objects are those of a view at a time.
type objects struct {
	known *cache
	view  state.View
	now   time.Time
}

func (b *bound) check(in objects) error {
	account, ok := in.known.meta(in.view, "serviceaccounts", b.Namespace, b.Account.Name)
	if !ok {
		return fmt.Errorf("serviceaccounts %q not found", b.Account.Name)
	}
	if gone(account, in.now) {
		return fmt.Errorf("service account %s/%s has been deleted", b.Namespace, b.Account.Name)
	}
	if account.UID != b.Account.UID {
		return fmt.Errorf("service account UID (%s) does not match claim (%s)", account.UID, b.Account.UID)
	}
	if err := b.Secret.check(in, "secrets", "secret", b.Namespace); err != nil {
		return err
	}
	if err := b.Pod.check(in, "pods", "pod", b.Namespace); err != nil || b.Pod != nil {
		return err // A pod's node need not be there.
	}
	return b.Node.check(in, "nodes", "node", "")
}

// check tells whether what the token is bound to is still there; nil is nothing.
func (r *ref) check(in objects, resource, kind, namespace string) error {
	if r == nil {
		return nil
	}
	meta, ok := in.known.meta(in.view, resource, namespace, r.Name)
	if !ok || gone(meta, in.now) {
		return errInvalidated
	}
	if meta.UID != r.UID {
		return fmt.Errorf("%s UID (%s) does not match service account %s ref claim (%s)", kind, meta.UID, kind, r.UID)
	}
	return nil
}

func gone(meta *metav1.ObjectMeta, now time.Time) bool {
	return meta.DeletionTimestamp != nil && meta.DeletionTimestamp.Time.Before(now.Add(-leeway))
}

// userOf returns the user whom the claims stand for.
func (c *verified) userOf() access.User {
	b := &c.Kubernetes
	user := access.User{
		Name: c.Subject, UID: string(b.Account.UID), Groups: append(access.ServiceAccountGroups(b.Namespace), access.Authenticated),
		Extra: map[string][]string{},
	}
	add := func(key, value string) {
		if value != "" {
			user.Extra["authentication.kubernetes.io/"+key] = []string{value}
		}
	}
	if c.ID != "" {
		add("credential-id", "JTI="+c.ID)
	}
	for name, r := range map[string]*ref{"pod": b.Pod, "node": b.Node} {
		if r != nil {
			add(name+"-name", r.Name)
			add(name+"-uid", string(r.UID))
		}
	}
	if len(user.Extra) == 0 {
		user.Extra = nil
	}
	return user
}
