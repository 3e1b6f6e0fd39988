package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// tokenTable holds what bearer tokens stand for, by the hash of the token: who
// reads the state cannot use them.
const tokenTable = "_bearers"

var errToken = errors.New("the token is not known or has expired")

// Replica is the replicated state that holds the tokens.
type Replica interface {
	Apply(ctx context.Context, tx *storev1.Transaction) (*storev1.Result, error)
	Read(ctx context.Context) (state.View, error)
	Store() *state.Store
}

// grant is what a token stands for.
type grant struct {
	User    string    `json:"user"`
	Groups  []string  `json:"groups,omitempty"`
	Expires time.Time `json:"expires"`
}

// Tokens issues and verifies bearer tokens.
type Tokens struct{ replica Replica }

// NewTokens returns Tokens over the replicated state.
func NewTokens(replica Replica) *Tokens { return &Tokens{replica: replica} }

func tokenKey(secret string) state.Key {
	sum := sha256.Sum256([]byte(secret))
	return state.Key{Resource: tokenTable, Name: hex.EncodeToString(sum[:])}
}

// Issue makes a token for a user that holds for ttl.
func (t *Tokens) Issue(ctx context.Context, user access.User, ttl time.Duration) (string, error) {
	random := make([]byte, 32+16)
	if _, err := rand.Read(random); err != nil {
		return "", fmt.Errorf("issue token for %s: %w", user.Name, err)
	}
	secret := base64.RawURLEncoding.EncodeToString(random[:32])
	expires := time.Now().Add(ttl)
	value, err := json.Marshal(grant{User: user.Name, Groups: user.Groups, Expires: expires})
	if err != nil {
		return "", fmt.Errorf("issue token for %s: %w", user.Name, err)
	}
	key := tokenKey(secret)
	put := &storev1.Operation{
		Key: &storev1.Key{Resource: key.Resource, Name: key.Name}, Action: storev1.Action_ACTION_PUT,
		Value: value, ExpiresUnix: expires.Unix() + 1,
	}
	if _, err = t.replica.Apply(ctx, &storev1.Transaction{Id: random[32:], Operations: []*storev1.Operation{put}}); err != nil {
		return "", fmt.Errorf("issue token for %s: %w", user.Name, err)
	}
	return secret, nil
}

// verify returns whom the token stands for. A token that this member does not
// know is looked for once more in the cluster's latest state.
func (t *Tokens) verify(ctx context.Context, secret string) (access.User, error) {
	entry, ok := t.replica.Store().View().Get(tokenKey(secret))
	if !ok {
		view, err := t.replica.Read(ctx)
		if err != nil {
			return access.User{}, fmt.Errorf("look up token: %w", err)
		}
		if entry, ok = view.Get(tokenKey(secret)); !ok {
			return access.User{}, errToken
		}
	}
	var g grant
	if err := json.Unmarshal(entry.Value(), &g); err != nil {
		return access.User{}, fmt.Errorf("read token: %w", err)
	}
	if !time.Now().Before(g.Expires) {
		return access.User{}, errToken
	}
	return access.User{Name: g.User, Groups: g.Groups}, nil
}
