package images_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// replicated is a state that all servers of a test share.
type replicated struct {
	mu    sync.Mutex
	index uint64
	store *state.Store
	lost  error // set when there is no leader
}

func (r *replicated) Apply(_ context.Context, tx *storev1.Transaction) (*storev1.Result, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost != nil {
		return nil, r.lost
	}
	r.index++
	return r.store.Apply(r.index, &storev1.Command{Transactions: []*storev1.Transaction{tx}})[0], nil
}

func (r *replicated) Read(context.Context) (state.View, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.store.View(), r.lost
}

// A server that was down while a tag was loaded anew has the old manifest on its
// disk, and must not hand it out.
func TestTagLoadedWhileAServerWasDown(t *testing.T) {
	first := start(t, t.TempDir())
	second := start(t, t.TempDir(), first)
	old := first.load(t)
	second.pulls(t, old)
	second.Close()
	image := first.load(t)
	again := start(t, second.dir, first)
	again.pulls(t, image)
	first.Close()
	again.pulls(t, image) // it has all of it now
}

// Without a leader nobody knows what a tag means today; a digest means the same
// for ever.
func TestTagsWithoutALeader(t *testing.T) {
	s := start(t, t.TempDir())
	digest, err := s.load(t).Digest()
	if err != nil {
		t.Fatal(err)
	}
	s.replica.lost = errors.New("no leader answered")
	const manifests = "/v2/docker.io/jwilder/whoami/manifests/"
	if code, body := s.do(t, node, http.MethodGet, manifests+"latest", nil); code != http.StatusServiceUnavailable {
		t.Errorf("the tag: %d %s", code, body)
	}
	code, manifest := s.do(t, node, http.MethodGet, manifests+digest.String(), nil)
	if code != http.StatusOK {
		t.Errorf("the digest: %d %s", code, manifest)
	}
	if code, body := s.do(t, admin, http.MethodPut, manifests+"latest", []byte(manifest)); code != http.StatusServiceUnavailable {
		t.Errorf("a load: %d %s", code, body)
	}
}
