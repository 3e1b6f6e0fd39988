package rpc_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// What a watch over gRPC begins with, by where it is to begin; the ConfigMaps 3
// to 7 came with those revisions, and what was before 4 is forgotten.
func TestWatchRevisions(t *testing.T) {
	for _, test := range []struct {
		version string
		initial bool
		code    codes.Code
		first   string // revision of the first event
		took    time.Duration
	}{
		{"4", false, codes.OK, "5", 0},
		{"4", true, codes.OK, "3", 0},
		{"", true, codes.OK, "3", 0},
		{"1", false, codes.OutOfRange, "", 0},
		{"1", true, codes.OK, "3", 0},
		{"99", true, codes.DeadlineExceeded, "", 3 * time.Second},
		{"x", false, codes.InvalidArgument, "", 0},
	} {
		t.Run(fmt.Sprintf("%s/%v", test.version, test.initial), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				replica := objectstest.NewReplica()
				replica.Forget()
				client := dialOver(t, replica)
				for i := 3; i <= 7; i++ {
					obj := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("cm-", i), Namespace: "default"}}
					if _, err := client.Create(t.Context(), &apiv1.CreateRequest{Object: pack(t, cmType, obj)}); err != nil {
						t.Fatal(err)
					}
				}
				begun := time.Now()
				stream, err := client.Watch(t.Context(), &apiv1.WatchRequest{Type: cmType, ResourceVersion: test.version, SendInitialEvents: test.initial})
				if err != nil {
					t.Fatal(err)
				}
				response, err := stream.Recv()
				var first string
				if events := response.GetEvents(); len(events) > 0 {
					first = events[0].GetResourceVersion()
				}
				if took := time.Since(begun); status.Code(err) != test.code || first != test.first || took != test.took {
					t.Errorf("after %s: %v, first event of revision %q", took, err, first)
				}
			})
		})
	}
}
