package join_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

func TestToken(t *testing.T) {
	want := join.Token{Addresses: []string{"10.0.0.1:6442", "10.0.0.2:6442"}, Pin: "sha256:ab", ID: "id", Secret: "s"}
	text := want.String()
	if strings.ContainsAny(text, " \n=+/'\"$") {
		t.Errorf("token %s is not one word for a shell", text)
	}
	got, err := join.ParseToken(" " + text + "\n")
	if err != nil || got.Proof() != "id.s" || got.Pin != want.Pin || len(got.Addresses) != 2 {
		t.Errorf("parsed %+v, %v", got, err)
	}
	for _, bad := range []string{"", "abc", text[1:], text[:len(text)-5], "muster1.e30", join.Token{Pin: "p", ID: "i", Secret: "s"}.String()} {
		if _, err := join.ParseToken(bad); !errors.Is(err, join.ErrBadToken) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestMembership(t *testing.T) {
	dir := t.TempDir()
	if _, err := join.LoadMembership(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
	if member, err := join.IsMember(dir); member || err != nil {
		t.Errorf("an empty directory is a member's: %v", err)
	}
	want := join.Membership{Name: "n1", ClusterID: "c", GossipKey: make([]byte, 32), APIAddresses: []string{"a:1"}}
	if err := want.Save(dir); err != nil {
		t.Fatal(err)
	}
	got, err := join.LoadMembership(dir)
	if err != nil || got.Name != "n1" || len(got.GossipKey) != 32 || got.APIAddresses[0] != "a:1" {
		t.Errorf("loaded %+v, %v", got, err)
	}
	if err := (join.Membership{Name: "n1"}).Save(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := join.LoadMembership(dir); err == nil || !strings.Contains(err.Error(), "join again") {
		t.Errorf("an incomplete membership: %v", err)
	}
}

// signer renews as a server does, but for the first times.
type signer struct {
	ca    *pki.CA
	fails int
	at    []time.Time
}

func (s *signer) Renew(_ context.Context, r *clusterv1.RenewRequest) (*clusterv1.RenewResponse, error) {
	s.at = append(s.at, time.Now())
	if s.fails > 0 {
		s.fails--
		return nil, errors.New("no server answers")
	}
	certPEM, err := s.ca.SignRequest(r.GetCsrDer(), pki.NodeIdentity("n1"), nil, 30*time.Hour)
	return &clusterv1.RenewResponse{CertificatePem: certPEM}, err
}

func TestKeepFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca, err := pki.NewCA("test")
		if err != nil {
			t.Fatal(err)
		}
		certPEM, keyPEM, err := ca.Issue(pki.NodeIdentity("n1"), nil, 30*time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		pair, err := pki.NewKeyPair(certPEM, keyPEM, ca.CertificatePEM())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		s := &signer{ca: ca, fails: 2}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Hour)
		defer cancel()
		if err := join.KeepFresh(ctx, slog.New(slog.DiscardHandler), pair, s); err != nil {
			t.Fatal(err)
		}
		// Two thirds of thirty hours, then twice a minute later, then again.
		if len(s.at) != 4 {
			t.Fatalf("renewals at %v", s.at)
		}
		for i, want := range []time.Duration{20 * time.Hour, 20*time.Hour + time.Minute, 20*time.Hour + 2*time.Minute, 40 * time.Hour} {
			if got := s.at[i].Sub(start); got < want-5*time.Minute || got > want+5*time.Minute {
				t.Errorf("renewal %d after %v, want %v", i, got, want)
			}
		}
		if !pair.Leaf().NotAfter.After(start.Add(60 * time.Hour)) {
			t.Errorf("the certificate ends at %v", pair.Leaf().NotAfter)
		}
	})
}
