package image_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/distribution/reference"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/agent/image"
	"github.com/musterhq/muster/agent/runtime/fake"
)

func TestBackoff(t *testing.T) {
	b := image.NewBackoff(10*time.Second, 5*time.Minute)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	if left, _ := b.Remaining("a", now, now); left != 0 {
		t.Errorf("unknown key waits %v", left)
	}
	for i, want := range []time.Duration{10, 20, 40, 80, 160, 300, 300} {
		if got := b.Next("a", now, now); got != want*time.Second {
			t.Errorf("delay %d is %v, want %v", i, got, want*time.Second)
		}
	}
	if left, delay := b.Remaining("a", now, now.Add(time.Minute)); left != 4*time.Minute || delay != 5*time.Minute {
		t.Errorf("left %v of %v", left, delay)
	}
	later := now.Add(10*time.Minute + time.Second)
	if left, _ := b.Remaining("a", later, later); left != 0 {
		t.Errorf("after ten minutes without failure it still waits %v", left)
	}
	if got := b.Next("a", later, later); got != 10*time.Second {
		t.Errorf("starts over with %v", got)
	}
}

func TestKeyring(t *testing.T) {
	k := image.Keyring{}
	secret := func(json string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Type: corev1.SecretTypeDockerConfigJson,
			Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(json)}}
	}
	err := k.Add(secret(`{"auths":{
		"https://index.docker.io/v1/":{"auth":"aHViOnNlY3JldA=="},
		"reg.test":{"username":"all","password":"p"},
		"reg.test/team":{"username":"team","password":"p"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for ref, want := range map[string][]string{
		"busybox": {"hub"}, "reg.test/x": {"all"}, "reg.test/team/app:1": {"team", "all"}, "reg.test/teamwork": {"all"}, "other.test/x": nil,
	} {
		named, err := reference.ParseDockerRef(ref)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range k.Lookup(named) {
			got = append(got, a.Username)
		}
		if strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("%s: %v, want %v", ref, got, want)
		}
	}
	if err := k.Add(&corev1.Secret{Type: corev1.SecretTypeOpaque}); err == nil {
		t.Error("an opaque secret is taken for credentials")
	}
	if err := k.Add(secret("{")); err == nil {
		t.Error("broken JSON is taken")
	}
}

func TestPodsShareOnePull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := fake.New("app")
		store.SetPullTime(time.Minute)
		p := image.NewPuller(t.Context(), store)
		c := &corev1.Container{Image: "app", ImagePullPolicy: corev1.PullIfNotPresent}
		quiet := func(string, string, string) {}
		done := make(chan error, 3)
		impatient, cancel := context.WithCancel(t.Context())
		for i, ctx := range []context.Context{impatient, t.Context(), t.Context()} {
			go func() {
				_, err := p.Ensure(ctx, fmt.Sprint("pod", i), c, nil, quiet)
				done <- err
			}()
		}
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("a pod that goes away waits on: %v", err)
		}
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n := store.Pulls(); n != 1 {
			t.Errorf("%d pulls", n)
		}
	})
}
