package virtual_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/integration/chaos/virtual"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/sdk"
)

// A leader whose disk hangs, though it lives and says so, does not hold up writes: the
// others go on without it, and it follows them once its disk goes on.
func TestHungDiskHoldsUpNobody(t *testing.T) {
	dir := dataDir(t)
	synctest.Test(t, func(t *testing.T) {
		c := start(t, dir, 3, slog.New(slog.DiscardHandler))
		if c == nil {
			return
		}
		was := leader(t, c)
		var others []string
		for _, name := range c.Members() {
			if name != was {
				others = append(others, name)
			}
		}
		client := dial(t, c, others...)
		defer func() { _ = client.Close() }()
		write(t, client, "before")
		if err := c.HangDisk(was, true); err != nil {
			t.Error(err)
		}
		begun := time.Now()
		write(t, client, "meanwhile")
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("nobody could write for %v", took)
		}
		if now := leader(t, c, others...); now == was {
			t.Errorf("%s leads yet", now)
		}
		if err := c.HangDisk(was, false); err != nil {
			t.Error(err)
		}
		back := dial(t, c, was)
		defer func() { _ = back.Close() }()
		write(t, back, "after")
		for _, name := range []string{"before", "meanwhile"} {
			if _, err := sdk.Get[*corev1.ConfigMap](t.Context(), back, "default", name); err != nil {
				t.Errorf("get %s: %v", name, err)
			}
		}
	})
}

func dial(t *testing.T, c *virtual.Cluster, members ...string) *sdk.Client {
	client, err := c.Dial(members...)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func write(t *testing.T, client *sdk.Client, name string) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := sdk.Create(ctx, client, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"}}); err != nil {
		t.Errorf("write %s: %v", name, err)
	}
}

func leader(t *testing.T, c *virtual.Cluster, ask ...string) string {
	client := dial(t, c, ask...)
	defer func() { _ = client.Close() }()
	response, err := clusterv1.NewClusterServiceClient(client.Conn()).ListMembers(t.Context(), &clusterv1.ListMembersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range response.GetMembers() {
		if m.GetLeader() {
			return m.GetId()
		}
	}
	t.Fatal("nobody leads")
	return ""
}
