package dev_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/cmd/muster/internal/dev"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func named(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, name)
		if r.URL.Path == "/watch" {
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	}))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	t.Cleanup(s.Close)
	return s
}

// client makes a connection for each request, as a kubectl command does.
func client(t *testing.T) *http.Client {
	t.Helper()
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}},
	}
}

func ask(c *http.Client, address string) (string, error) {
	response, err := c.Get("https://" + address)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

func eventually(t *testing.T, f func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatal(err)
		case <-ticker.C:
		}
	}
}

func TestBalancer(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	balancer := dev.NewBalancer(slog.New(slog.DiscardHandler), []string{a.Listener.Addr().String(), b.Listener.Addr().String()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- balancer.Run(ctx, lis) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	address := lis.Addr().String()
	c := client(t)
	for _, want := range []string{"a", "b"} {
		eventually(t, func() error {
			got, err := ask(c, address)
			if err == nil && got != want {
				err = fmt.Errorf("%s answered, not %s", got, want)
			}
			return err
		})
	}

	// A watch on a server that dies ends, instead of hanging.
	watching := make(chan error, 2)
	for range 2 {
		response, err := c.Get("https://" + address + "/watch")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer response.Body.Close()
			_, err := io.ReadAll(response.Body)
			watching <- err
		}()
	}
	a.CloseClientConnections()
	a.Listener.Close()
	_ = <-watching // cut off or ended, either is an end
	for range 10 {
		if got, err := ask(c, address); err != nil || got != "b" {
			t.Errorf("after the loss of a: %q, %v", got, err)
		}
	}
	cancel()
	_ = <-watching // cut off or ended, either is an end
}

// A server that ends takes no more connections, and answers what it was asked.
func TestBalancerLeavesRequestsToAServerThatEnds(t *testing.T) {
	s := named(t, "a")
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	balancer := dev.NewBalancer(slog.New(slog.DiscardHandler), []string{s.Listener.Addr().String()})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- balancer.Run(ctx, lis) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	c, address := client(t), lis.Addr().String()
	eventually(t, func() error {
		_, err := ask(c, address)
		return err
	})
	// An answer that begins and has not ended yet.
	response, err := c.Get("https://" + address + "/watch")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	s.Listener.Close()
	ended := make(chan error, 1)
	go func() {
		_, err := io.ReadAll(response.Body)
		ended <- err
	}()
	eventually(t, func() error { // the balancer knows
		if _, err := ask(c, address); err == nil {
			return fmt.Errorf("it takes connections yet")
		}
		return nil
	})
	select {
	case err := <-ended:
		t.Fatalf("the answer was cut off: %v", err)
	case <-time.After(500 * time.Millisecond): // the balancer has looked again
	}
	s.CloseClientConnections()
	<-ended
}
