package sdk_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/sdk"
	"github.com/musterhq/muster/sdk/sdktest"
)

// failing has the first calls of a method answered with an error.
func failing(cluster *sdktest.Cluster, method string, times int, err error) {
	cluster.Fail(func(called string, _ any) error {
		if strings.HasSuffix(called, "/"+method) && times > 0 {
			times--
			return sdktest.Refuse(err)
		}
		return nil
	})
}

// Which errors have which calls made again, and after how long at least.
func TestWhatIsRetried(t *testing.T) {
	create := func(t *testing.T, c *sdk.Client) error {
		_, err := sdk.Create(t.Context(), c, configMap("a"))
		return err
	}
	transact := func(t *testing.T, c *sdk.Client) error {
		_, err := c.Transact(t.Context(), sdk.CreateOp(configMap("a")), sdk.CreateOp(configMap("b")))
		return err
	}
	apply := func(t *testing.T, c *sdk.Client) error {
		_, err := sdk.Apply[*corev1.ConfigMap](t.Context(), c, "test", configMap("a"))
		return err
	}
	list := func(t *testing.T, c *sdk.Client) error {
		_, err := sdk.List[*corev1.ConfigMap](t.Context(), c, sdk.ListOptions{})
		return err
	}
	lost := status.Error(codes.Unavailable, "the connection broke")
	for _, test := range []struct {
		name, method string
		call         func(*testing.T, *sdk.Client) error
		err          error
		again        bool
		after        time.Duration
	}{
		{"a write that nobody did", "Create", create, apierrors.NewServiceUnavailable("no leader"), true, 0},
		{"a write that is put off", "Create", create, apierrors.NewTooManyRequests("busy", 3), true, 3 * time.Second},
		{"a write that is refused for now", "Create", create, apierrors.NewTooManyRequests("budget", 0), false, 0},
		{"a write that may be done", "Create", create, lost, false, 0},
		{"a write that timed out", "Create", create, apierrors.NewTimeoutError("unsettled", 0), false, 0},
		{"a transaction that nobody did", "Transact", transact, apierrors.NewServiceUnavailable("no leader"), true, 0},
		{"a transaction that may be done", "Transact", transact, lost, false, 0},
		{"what is as good twice", "Patch", apply, lost, true, 0},
		{"a read", "List", list, lost, true, 0},
		{"a read that is put off", "List", list, apierrors.NewTooManyRequests("busy", 2), true, 2 * time.Second},
		{"a read that is forbidden", "List", list, apierrors.NewForbidden(corev1.Resource("configmaps"), "", nil), false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cluster := sdktest.New(t)
				c := cluster.Client(t)
				failing(cluster, test.method, 2, test.err)
				begun := time.Now()
				err := test.call(t, c)
				if calls, want := cluster.Calls(test.method), 3; test.again && (err != nil || calls != want || time.Since(begun) < 2*test.after) {
					t.Errorf("%d calls in %v: %v", calls, time.Since(begun), err)
				}
				if calls := cluster.Calls(test.method); !test.again && (err == nil || calls != 1) {
					t.Errorf("%d calls: %v", calls, err)
				}
			})
		})
	}
}

// A server that asks for more time than there is left is not waited for.
func TestRetryAfterTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cluster := sdktest.New(t)
		c := cluster.Client(t, func(cfg *sdk.Config) { cfg.CallTimeout = 3 * time.Second })
		failing(cluster, "Create", 2, apierrors.NewTooManyRequests("busy", 60))
		begun := time.Now()
		if _, err := sdk.Create(t.Context(), c, configMap("a")); !apierrors.IsTooManyRequests(err) || time.Since(begun) > time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	})
}
