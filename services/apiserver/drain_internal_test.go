package apiserver

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

// What a stopping server is answering is answered; what would not end is ended.
func TestDrained(t *testing.T) {
	for query, lasts := range map[string]bool{"": false, "?watch=true": true, "?watch=1": true, "?follow=true": true, "?watch=false": false, "?watch=0": false, "?watch=x": true} {
		synctest.Test(t, func(t *testing.T) {
			var cause error
			server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				select {
				case <-time.After(time.Second):
				case <-r.Context().Done():
					cause = context.Cause(r.Context())
				}
			})}
			drained(server)
			if err := server.BaseContext(nil).Err(); err != nil {
				t.Fatal(err)
			}
			go func() {
				time.Sleep(100 * time.Millisecond)
				if err := server.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			}()
			began := time.Now()
			server.Handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api/v1/pods"+query, nil))
			if ended := time.Since(began) < time.Second; ended != lasts || errors.Is(cause, errClosing) != lasts {
				t.Errorf("%q: ended after %v by %v", query, time.Since(began), cause)
			}
			synctest.Wait()
		})
	}
}
