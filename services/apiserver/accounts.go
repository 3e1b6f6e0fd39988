package apiserver

import (
	"context"
	"net/http"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/musterhq/muster/services/apiserver/internal/audit"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/reviews"
	"github.com/musterhq/muster/services/apiserver/internal/serviceaccount"
	"github.com/musterhq/muster/services/apiserver/internal/serviceaccount/legacysecret"
)

// wireAccess makes what decides who calls and what they may do.
func (s *Server) wireAccess() (err error) {
	s.tokens = auth.NewTokens(s.replica)
	s.authorizer = auth.NewAuthorizer(s.replica.Store())
	if s.audit, err = audit.Open(s.config.Audit, s.authorizer, s.config.Logger); err != nil {
		return err
	}
	config := auth.AuthenticatorConfig{Tokens: s.tokens, Verify: s.config.KeyPair.Verify, Authorizer: s.authorizer}
	if len(s.config.ServiceAccountKeyPEM) > 0 {
		keys, err := serviceaccount.ParseKeys(s.config.ServiceAccountKeyPEM)
		if err != nil {
			return err
		}
		if s.accounts, err = serviceaccount.New(serviceaccount.Config{Replica: s.replica, Keys: keys, Now: s.config.Now}); err != nil {
			return err
		}
		config.ServiceAccounts = s.accounts
	}
	s.authn = auth.NewAuthenticator(config)
	return nil
}

// answers returns what answers the kinds that are not stored.
func (s *Server) answers() (map[string]objects.Answerer, error) {
	out, err := reviews.Answers(reviews.Config{Authorizer: s.authorizer, Review: s.authn.Review, Now: s.config.Now})
	if err != nil || s.accounts == nil {
		return out, err
	}
	out["serviceaccounts/token"] = func(ctx context.Context, t objects.Target, obj registry.Object) (registry.Object, error) {
		return obj, s.accounts.Issue(ctx, t.Namespace, t.Name, obj.(*authenticationv1.TokenRequest))
	}
	return out, nil
}

// fillSecrets fills Secrets with tokens until ctx ends, where there is a key.
func (s *Server) fillSecrets(ctx context.Context) error {
	if s.accounts == nil {
		return nil
	}
	filler, err := legacysecret.New(legacysecret.Config{
		Objects: s.objects, Store: s.replica.Store(), Tokens: s.accounts, RootCA: s.config.KeyPair.CAPEM(),
		Name: s.config.Name, Leading: s.replica.IsLeader, Logger: s.config.Logger,
	})
	if err != nil {
		return err
	}
	return filler.Run(ctx)
}

// documents are those by which others learn to verify tokens of service accounts.
func (s *Server) documents() (map[string]http.Handler, error) {
	if s.accounts == nil {
		return nil, nil
	}
	return s.accounts.Documents(s.config.advertised(s.config.RESTListener))
}
