package cluster_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/snapshotfile"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// An administrator, and nobody else, is sent the state as a file.
func TestSaveSnapshot(t *testing.T) {
	f := start(t)
	const objects = 2000
	for i := range objects {
		_, err := f.replica.Apply(t.Context(), &storev1.Transaction{Operations: []*storev1.Operation{{
			Key:    &storev1.Key{Resource: "pods", Name: fmt.Sprint(i)},
			Action: storev1.Action_ACTION_PUT, Value: []byte(strings.Repeat(fmt.Sprint(i), 300)),
		}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []pki.Identity{pki.NodeIdentity("n1"), pki.ServerIdentity("s2"), {User: "somebody"}} {
		if _, err := f.save(t, id); status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", id.User, err)
		}
	}
	file, err := f.save(t, pki.AdminIdentity())
	if err != nil {
		t.Fatal(err)
	}
	r, err := snapshotfile.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	restored := state.New()
	if err := restored.Restore(r); err != nil {
		t.Fatal(err)
	}
	view := f.replica.store.View()
	if h := r.Header(); h.Cluster != "cluster-1" || h.Server != "s1" || h.Revision < objects || h.Revision > view.Revision() || h.Time.IsZero() {
		t.Errorf("the header is %+v", h)
	}
	if n := restored.View().Count("pods", ""); n != objects {
		t.Errorf("%d of %d objects", n, objects)
	}
}

func (f *fixture) save(t *testing.T, id pki.Identity) (file []byte, err error) {
	t.Helper()
	stream, err := f.as(t, f.pair(t, id)).SaveSnapshot(t.Context(), &clusterv1.SaveSnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return file, nil
		}
		if err != nil {
			return nil, err
		}
		file = append(file, part.GetContent()...)
	}
}
