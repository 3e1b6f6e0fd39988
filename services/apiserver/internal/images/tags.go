package images

import (
	"context"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// tagsTable maps NAME:TAG to the digest of a manifest.
const tagsTable = "_imagetags"

// tagTimeout bounds the wait for the cluster's answer.
const tagTimeout = 5 * time.Second

// tags says what each tag means. It is replicated: on a disk of its own, a server
// that was down while a tag was loaded anew would have the old one.
type tags struct{ replica Replica }

func tagKey(name, tag string) state.Key {
	return state.Key{Resource: tagsTable, Name: name + ":" + tag}
}

// digest returns what a tag means, registry.ErrNotFound if nothing.
func (t tags) digest(ctx context.Context, name, tag string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, tagTimeout)
	defer cancel()
	view, err := t.replica.Read(ctx)
	if err != nil {
		return "", fmt.Errorf("read tag %s:%s: %w", name, tag, err)
	}
	entry, ok := view.Get(tagKey(name, tag))
	if !ok {
		return "", registry.ErrNotFound
	}
	return string(entry.Value()), nil
}

// set makes a tag mean a manifest.
func (t tags) set(ctx context.Context, name, tag, digest string) error {
	ctx, cancel := context.WithTimeout(ctx, tagTimeout)
	defer cancel()
	key := tagKey(name, tag)
	_, err := t.replica.Apply(ctx, &storev1.Transaction{Operations: []*storev1.Operation{{
		Key: &storev1.Key{Resource: key.Resource, Name: key.Name}, Action: storev1.Action_ACTION_PUT, Value: []byte(digest),
	}}})
	if err != nil {
		return fmt.Errorf("write tag %s:%s: %w", name, tag, err)
	}
	return nil
}
