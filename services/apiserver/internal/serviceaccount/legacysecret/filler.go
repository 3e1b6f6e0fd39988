// Package legacysecret fills Secrets of the type kubernetes.io/service-account-token:
// with a token that lasts for as long as the Secret, for programs that can use no other.
package legacysecret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/serviceaccount"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// lookInterval is how often a server looks whether it has come to lead.
const lookInterval = 2 * time.Second

// Config is what New needs.
type Config struct {
	Objects *objects.Service
	Store   *state.Store
	Tokens  *serviceaccount.Tokens
	// RootCA is the cluster's certificates in PEM.
	RootCA []byte
	// Name of this server.
	Name string
	// Leading tells whether this server leads; nil is always. It does not block.
	Leading func() bool
	Logger  *slog.Logger
}

// Filler fills the Secrets. It is in the server because that has the key.
type Filler struct {
	config Config
	logger *slog.Logger
}

// New returns a Filler.
func New(config Config) (*Filler, error) {
	if config.Objects == nil || config.Store == nil || config.Tokens == nil || config.Logger == nil {
		return nil, errors.New("new filler of secrets: objects, store, tokens and logger are required")
	}
	if config.Leading == nil {
		config.Leading = func() bool { return true }
	}
	return &Filler{config: config, logger: config.Logger.With("component", "legacysecret")}, nil
}

// Run fills Secrets as they come, while this server leads, until ctx ends.
func (f *Filler) Run(ctx context.Context) error {
	id := pki.ServerIdentity(f.config.Name)
	ctx = access.WithUser(ctx, access.User{Name: id.User, Groups: id.Groups})
	for ctx.Err() == nil {
		if f.config.Leading() {
			f.lead(ctx)
		}
		select {
		case <-ctx.Done():
		case <-time.After(lookInterval):
		}
	}
	return nil
}

// lead fills what there is and then what changes, for as long as the server leads.
func (f *Filler) lead(ctx context.Context) {
	view := f.config.Store.View()
	secrets, err := f.config.Store.Watch("secrets", "", "", view.Revision())
	if err != nil {
		return
	}
	accounts, err := f.config.Store.Watch("serviceaccounts", "", "", view.Revision())
	if err != nil {
		return
	}
	f.lookAll(ctx, "")
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var both sync.WaitGroup
	for watcher, act := range map[*state.Watcher]func(state.Event){
		secrets: func(e state.Event) {
			if e.Entry != nil {
				f.look(ctx, e.Entry)
			}
		},
		accounts: func(e state.Event) {
			if e.Entry == nil { // Its Secrets go with it.
				f.lookAll(ctx, e.Prev.Key.Namespace)
			}
		},
	} {
		both.Go(func() {
			defer stop() // One that fell behind begins anew, and the other with it.
			f.follow(ctx, watcher, act)
		})
	}
	both.Wait()
}

// follow acts on what a watcher tells until it cannot, or the server leads no more.
func (f *Filler) follow(ctx context.Context, watcher *state.Watcher, act func(state.Event)) {
	for ctx.Err() == nil && f.config.Leading() {
		wait, cancel := context.WithTimeout(ctx, lookInterval)
		events, err := watcher.Next(wait)
		cancel()
		if errors.Is(err, state.ErrTooOld) {
			return
		}
		for _, event := range events {
			act(event)
		}
	}
}

// lookAll looks at all Secrets of a namespace; "" is every one.
func (f *Filler) lookAll(ctx context.Context, namespace string) {
	for e := range f.config.Store.View().List("secrets", namespace) {
		f.look(ctx, e)
	}
}

// look fills a Secret where it is one to be filled. The others, which are most, are not
// decoded.
func (f *Filler) look(ctx context.Context, e *state.Entry) {
	value := e.Value()
	if !bytes.Contains(value, []byte(corev1.SecretTypeServiceAccountToken)) {
		return
	}
	secret := new(corev1.Secret)
	if secret.Unmarshal(value) != nil || secret.Type != corev1.SecretTypeServiceAccountToken || secret.DeletionTimestamp != nil {
		return
	}
	secret.ResourceVersion = fmt.Sprint(e.ModRevision)
	if err := f.fill(ctx, secret); err != nil && ctx.Err() == nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
		f.logger.Warn("secret not filled", "namespace", secret.Namespace, "name", secret.Name, "error", err)
	}
}

// fill adds what is missing, or deletes the Secret of an account that is gone.
func (f *Filler) fill(ctx context.Context, secret *corev1.Secret) error {
	kind, ok := f.config.Objects.Kinds().ByKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	if !ok {
		return errors.New("secrets are not served")
	}
	target := objects.Target{Kind: kind, Namespace: secret.Namespace, Name: secret.Name}
	account := new(corev1.ServiceAccount)
	e, ok := f.config.Store.View().Get(state.Key{Resource: "serviceaccounts", Namespace: secret.Namespace, Name: secret.Annotations[corev1.ServiceAccountNameKey]})
	uid := types.UID(secret.Annotations[corev1.ServiceAccountUIDKey])
	if !ok || account.Unmarshal(e.Value()) != nil || uid != "" && uid != account.UID {
		_, err := f.config.Objects.Delete(ctx, target, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &secret.UID}})
		return err
	}
	if uid != "" && len(secret.Data[corev1.ServiceAccountTokenKey]) > 0 && len(secret.Data[corev1.ServiceAccountNamespaceKey]) > 0 &&
		bytes.Equal(secret.Data[corev1.ServiceAccountRootCAKey], f.config.RootCA) {
		return nil
	}
	if secret.Data == nil {
		secret.Data = map[string][]byte{}
	}
	if len(secret.Data[corev1.ServiceAccountTokenKey]) == 0 {
		token, err := f.config.Tokens.IssueLegacy(account, secret)
		if err != nil {
			return err
		}
		secret.Data[corev1.ServiceAccountTokenKey] = []byte(token)
	}
	secret.Data[corev1.ServiceAccountRootCAKey] = f.config.RootCA
	secret.Data[corev1.ServiceAccountNamespaceKey] = []byte(secret.Namespace)
	secret.Annotations[corev1.ServiceAccountUIDKey] = string(account.UID)
	_, err := f.config.Objects.Update(ctx, target, secret, false)
	return err
}
