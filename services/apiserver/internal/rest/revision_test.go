package rest_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rest"
)

// What a client is told of a revision that cannot be read, as client-go looks
// at it: apierrors.IsResourceExpired, IsTooLargeResourceVersionError.
func TestRevisionErrors(t *testing.T) {
	for _, test := range []struct {
		query  string
		code   int32
		reason metav1.StatusReason
		cause  metav1.CauseType
		took   time.Duration
	}{
		{"resourceVersion=1&resourceVersionMatch=Exact", 410, metav1.StatusReasonExpired, "", 0},
		{"resourceVersion=1&limit=1", 410, metav1.StatusReasonExpired, "", 0},
		{"resourceVersion=99", 504, metav1.StatusReasonTimeout, metav1.CauseTypeResourceVersionTooLarge, 3 * time.Second},
		{"watch=true&resourceVersion=99&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", 504, metav1.StatusReasonTimeout,
			metav1.CauseTypeResourceVersionTooLarge, 3 * time.Second},
		{"resourceVersion=x", 400, metav1.StatusReasonBadRequest, "", 0},
		{"resourceVersionMatch=Exact", 422, metav1.StatusReasonInvalid, "FieldValueForbidden", 0},
		{"sendInitialEvents=true", 422, metav1.StatusReasonInvalid, "FieldValueForbidden", 0},
		{"sendInitialEvents=maybe", 422, metav1.StatusReasonInvalid, "FieldValueForbidden", 0},
	} {
		t.Run(test.query, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				handler := forgetful(t)
				begun, answer := time.Now(), httptest.NewRecorder()
				handler.ServeHTTP(answer, httptest.NewRequest("GET", "/api/v1/configmaps?"+test.query, nil))
				var status metav1.Status
				if err := json.Unmarshal(answer.Body.Bytes(), &status); err != nil {
					t.Fatalf("%v: %s", err, answer.Body)
				}
				var cause metav1.CauseType
				if status.Details != nil && len(status.Details.Causes) > 0 {
					cause = status.Details.Causes[0].Type
				}
				if took := time.Since(begun); status.Code != test.code || status.Reason != test.reason || cause != test.cause || took != test.took {
					t.Errorf("after %s: %+v", took, status)
				}
			})
		})
	}
}

// forgetful is a door to ConfigMaps whose first revisions are forgotten.
func forgetful(t *testing.T) http.Handler {
	t.Helper()
	replica := objectstest.NewReplica()
	replica.Forget()
	service, _ := objectstest.NewOver(t, replica)
	handler, err := rest.New(rest.Config{Objects: service, Authenticator: byHeader{}, Agents: &agent{}, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		answer := httptest.NewRecorder()
		body := strings.NewReader(strings.Replace(cm, `"a"`, `"`+name+`"`, 1))
		handler.ServeHTTP(answer, httptest.NewRequest("POST", "/api/v1/namespaces/default/configmaps", body))
		if answer.Code != http.StatusCreated {
			t.Fatal(answer.Body)
		}
	}
	return handler
}
