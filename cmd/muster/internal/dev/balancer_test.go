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
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/musterhq/muster/cmd/muster/internal/dev"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func named(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := unstarted(t, name)
	s.StartTLS()
	return s
}

func unstarted(t *testing.T, name string) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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

// balanced runs a balancer before the servers until end is called, or the test is
// over, and returns its address.
func balanced(t *testing.T, servers ...*httptest.Server) (address string, end func()) {
	t.Helper()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, s := range servers {
		addresses = append(addresses, s.Listener.Addr().String())
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- dev.NewBalancer(slog.New(slog.DiscardHandler), addresses).Run(ctx, lis) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return lis.Addr().String(), cancel
}

func TestBalancer(t *testing.T) {
	a, b := named(t, "a"), named(t, "b")
	address, cancel := balanced(t, a, b)
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

// door is a listener with which something else can be done than to accept.
type door struct {
	net.Listener
	instead atomic.Pointer[func(*net.TCPConn)]
}

func (d *door) Accept() (net.Conn, error) {
	for {
		conn, err := d.Listener.Accept()
		instead := d.instead.Load()
		if err != nil || instead == nil {
			return conn, err
		}
		(*instead)(conn.(*net.TCPConn))
	}
}

func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}

// A server that ends takes no more connections, and answers what it was asked. One
// that is paused answers nothing: who asked it is to ask another one.
func TestBalancerCutsOffWhoIsSilent(t *testing.T) {
	for name, tt := range map[string]struct {
		instead func(*net.TCPConn) // nil closes the door
		cut     bool
	}{
		"refuses":   {},
		"resets":    {instead: reset},
		"hangs up":  {instead: func(c *net.TCPConn) { _ = c.CloseWrite(); t.Cleanup(func() { _ = c.Close() }) }},
		"is silent": {instead: func(c *net.TCPConn) { t.Cleanup(func() { _ = c.Close() }) }, cut: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := unstarted(t, "a")
			door := &door{Listener: s.Listener}
			s.Listener = door
			s.Config.SetKeepAlivesEnabled(false) // what looks comes by the door
			s.StartTLS()
			address, _ := balanced(t, s)
			c := client(t)
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
			ended := make(chan error, 1)
			go func() {
				_, err := io.ReadAll(response.Body)
				ended <- err
			}()
			if tt.instead == nil {
				door.Close()
			} else {
				door.instead.Store(&tt.instead)
			}
			patience := 500 * time.Millisecond // it has looked again
			if tt.cut {
				patience = 5 * time.Second
			}
			select {
			case err := <-ended:
				if !tt.cut {
					t.Errorf("the answer was cut off: %v", err)
				}
			case <-time.After(patience):
				if tt.cut {
					t.Error("the answer was not cut off")
				}
				s.CloseClientConnections()
				<-ended
			}
			if got, err := ask(c, address); err == nil {
				t.Errorf("it passes connections on yet: %q", got)
			}
		})
	}
}

// The connection of what looks is kept, so a pause is to be noticed on that, too.
func TestBalancerCutsOffWhoIsPaused(t *testing.T) {
	s := unstarted(t, "a")
	var paused atomic.Bool
	answer := s.Config.Handler
	s.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if paused.Load() {
			<-r.Context().Done()
			return
		}
		answer.ServeHTTP(w, r)
	})
	s.StartTLS()
	address, _ := balanced(t, s)
	c := client(t)
	eventually(t, func() error {
		_, err := ask(c, address)
		return err
	})
	response, err := c.Get("https://" + address + "/watch")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	paused.Store(true)
	if _, err := io.ReadAll(response.Body); err == nil {
		t.Error("the answer ended well")
	}
}

// A server that hangs up on a client before it has said anything had closed its
// door when the client came. The client is led to another one and does not notice.
func TestBalancerSaysAgainWhatNobodyHeard(t *testing.T) {
	const marked = "marked"
	a, b := unstarted(t, "a"), named(t, "b")
	a.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if hello.ServerName == marked { // the balancer's own are not
			reset(hello.Conn.(*net.TCPConn))
		}
		return nil, nil
	}}
	a.StartTLS()
	address, _ := balanced(t, a, b)
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
	c.Transport.(*http.Transport).TLSClientConfig.ServerName = marked
	for range 10 {
		if got, err := ask(c, address); err != nil || got != "b" {
			t.Errorf("%q, %v", got, err)
		}
	}
}
