package cluster

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/musterhq/muster/internal/join"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

const (
	// tokensTable maps a token's ID to a token in JSON.
	tokensTable = "_tokens"

	defaultTokenLife = 24 * time.Hour
	maxTokenLife     = 365 * 24 * time.Hour
	// tokenKept is how long a token is kept after it expired, so that who comes
	// late is told so.
	tokenKept    = 24 * time.Hour
	newTokenHint = "make a new one with `muster token create`"
)

// token is what the cluster keeps of a join token. The secret has 256 random
// bits, so a plain hash of it is enough.
type token struct {
	Hash    string                      `json:"hash"`
	Roles   []clusterv1.CertificateRole `json:"roles"`
	Expires time.Time                   `json:"expires"`
}

// CreateToken implements ClusterService.
func (s *Service) CreateToken(ctx context.Context, r *clusterv1.CreateTokenRequest) (*clusterv1.CreateTokenResponse, error) {
	life, err := lifeOf(r.GetTtlSeconds())
	if err != nil {
		return nil, err
	}
	roles := r.GetRoles()
	if len(roles) == 0 {
		roles = []clusterv1.CertificateRole{clusterv1.CertificateRole_CERTIFICATE_ROLE_NODE, clusterv1.CertificateRole_CERTIFICATE_ROLE_SERVER}
	}
	if slices.Contains(roles, clusterv1.CertificateRole_CERTIFICATE_ROLE_UNSPECIFIED) {
		return nil, status.Error(codes.InvalidArgument, "roles: unspecified is none")
	}
	view, err := s.config.Replica.Read(ctx)
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "create token: %v", err)
	}
	id, secret := strings.ToLower(rand.Text()[:10]), rand.Text()+rand.Text()
	kept := token{Hash: hash(secret), Roles: roles, Expires: time.Now().Add(life).Truncate(time.Second)}
	value, err := json.Marshal(kept)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "create token: %v", err)
	}
	put := &storev1.Operation{
		Key:          &storev1.Key{Resource: tokensTable, Name: id},
		Precondition: storev1.Precondition_PRECONDITION_ABSENT,
		Action:       storev1.Action_ACTION_PUT,
		Value:        value,
		ExpiresUnix:  kept.Expires.Add(tokenKept).Unix(),
	}
	result, err := s.config.Replica.Apply(ctx, &storev1.Transaction{Operations: []*storev1.Operation{put}})
	if err != nil {
		return nil, status.Errorf(codes.Unavailable, "create token: %v", err)
	}
	if result.GetFailedOperation() >= 0 {
		return nil, status.Error(codes.Aborted, "create token: its ID is taken, try again")
	}
	out := join.Token{
		Addresses: s.sortedAddresses(view, func(a Addresses) string { return a.API }),
		Pin:       s.config.Authority.Pin(),
		ID:        id,
		Secret:    secret,
	}
	return &clusterv1.CreateTokenResponse{Token: out.String(), Expires: timestamppb.New(kept.Expires)}, nil
}

// checkToken says whether the proof, "id.secret", lets its owner in as role.
func (s *Service) checkToken(ctx context.Context, proof string, role clusterv1.CertificateRole) error {
	id, secret, ok := strings.Cut(proof, ".")
	if !ok || id == "" {
		return status.Error(codes.PermissionDenied, "the join token is malformed: "+newTokenHint)
	}
	view, err := s.config.Replica.Read(ctx)
	if err != nil {
		return status.Errorf(codes.Unavailable, "check join token: %v", err)
	}
	wrong := status.Error(codes.PermissionDenied, "the join token is wrong, or expired and forgotten: "+newTokenHint)
	entry, ok := view.Get(state.Key{Resource: tokensTable, Name: id})
	if !ok {
		return wrong
	}
	var kept token
	if err := json.Unmarshal(entry.Value(), &kept); err != nil {
		return status.Errorf(codes.Internal, "check join token: %v", err)
	}
	if subtle.ConstantTimeCompare([]byte(hash(secret)), []byte(kept.Hash)) != 1 {
		return wrong
	}
	if !time.Now().Before(kept.Expires) {
		return status.Errorf(codes.PermissionDenied, "the join token expired at %s: %s", kept.Expires.Format(time.RFC3339), newTokenHint)
	}
	if !slices.Contains(kept.Roles, role) {
		return status.Errorf(codes.PermissionDenied, "the join token does not let in a %s: make one that does with `muster token create --role %s`", roleName(role), roleName(role))
	}
	return nil
}

func hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

func roleName(role clusterv1.CertificateRole) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(role.String(), "CERTIFICATE_ROLE_")), "_", "-")
}
