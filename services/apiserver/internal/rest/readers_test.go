package rest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
	"github.com/musterhq/muster/services/apiserver/internal/rest"
)

const (
	configMaps = "/api/v1/namespaces/default/configmaps"
	half       = 500 * time.Millisecond
)

// impatient is a door, over TLS and HTTP/2 or plain, that cuts clients off after
// a while, to some large config maps.
type impatient struct {
	*httptest.Server
	objects *objects.Service
	kind    objects.Target
	gate    *fairness.Gate
	closed  chan struct{} // a value for each connection that the server ended
}

func newImpatient(t *testing.T, http2 bool, large int, stall time.Duration) *impatient {
	t.Helper()
	service, _ := objectstest.New(t)
	k, _ := service.Kinds().ByKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	d := &impatient{objects: service, kind: objects.Target{Kind: k, Namespace: "default"}, gate: fairness.New(fairness.DefaultLimits()), closed: make(chan struct{}, 1000)}
	for i := range large {
		d.create(t, fmt.Sprintf("large-%d", i), 1_000_000)
	}
	handler, err := rest.New(rest.Config{
		Objects: service, Authenticator: byHeader{}, Agents: &agent{}, Gate: d.gate, StallLimit: stall, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Server = httptest.NewUnstartedServer(handler)
	d.EnableHTTP2 = http2
	d.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)
	d.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			select {
			case d.closed <- struct{}{}:
			default: // nobody counts as many
			}
		}
	}
	if http2 {
		d.StartTLS()
	} else {
		d.Start()
	}
	t.Cleanup(d.Close)
	t.Cleanup(d.CloseClientConnections)
	return d
}

func (d *impatient) create(t *testing.T, name string, size int) {
	t.Helper()
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"x": strings.Repeat("0123456789", size/10)}}
	if _, err := d.objects.Create(objectstest.As(pki.AdminIdentity()), d.kind, cm, false); err != nil {
		t.Fatal(err)
	}
}

func (d *impatient) get(t *testing.T, path string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", d.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", "identity")
	response, err := d.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

// settled waits until nobody holds a seat.
func (d *impatient) settled(t *testing.T) {
	t.Helper()
	for begun := time.Now(); d.gate.Counts(fairness.People).Taken > 0; runtime.Gosched() {
		if time.Since(begun) > 5*time.Second {
			t.Fatal("seats are still held")
		}
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Twenty clients ask for 100 MB each and read none of it: the server holds for each
// what one object of them takes (a megabyte, decoded and encoded), serves others meanwhile, and cuts them off.
func TestClientsThatNeverRead(t *testing.T) {
	d := newImpatient(t, false, 100, half)
	before := heap()
	for range 20 {
		conn, err := net.Dial("tcp", d.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", configMaps); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 { // while they stall
		if response := d.get(t, "/api/v1/namespaces/default"); response.StatusCode != 200 {
			t.Errorf("another client: %s", response.Status)
		}
	}
	if grown := int64(heap()) - int64(before); grown > 20*4<<20 {
		t.Errorf("the heap grew by %d MB", grown>>20)
	}
	d.settled(t)
	for range 20 {
		select {
		case <-d.closed:
		case <-time.After(10 * time.Second):
			t.Fatal("a connection is kept")
		}
	}
}

// On HTTP/2 only the stream ends whose answer is not read.
func TestStreamThatIsNeverRead(t *testing.T) {
	d := newImpatient(t, true, 30, half)
	stuck := d.get(t, configMaps)
	d.settled(t)
	if next := d.get(t, "/api/v1/namespaces/default"); next.StatusCode != 200 || next.ProtoMajor != 2 {
		t.Errorf("the next stream: %s", next.Status)
	}
	time.Sleep(600 * time.Millisecond)
	if n, err := io.Copy(io.Discard, stuck.Body); err == nil || n > 20<<20 {
		t.Errorf("%d bytes were read, %v", n, err)
	}
}

// Who reads slowly, but does, gets all of it.
func TestSlowReader(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		d := newImpatient(t, http2, 20, half)
		response, total := d.get(t, configMaps), 0
		part := make([]byte, 1<<20)
		for begun := time.Now(); ; {
			n, err := io.ReadFull(response.Body, part)
			total += n
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && total > 20_000_000 {
				break
			}
			if err != nil {
				t.Fatalf("after %v and %d bytes: %v", time.Since(begun), total, err)
			}
			time.Sleep(40 * time.Millisecond)
		}
		if total < 20_000_000 {
			t.Errorf("%d bytes", total)
		}
	}
}

// A watch that is not read is cut off, too; one that is idle is not.
func TestWatchThatIsNeverRead(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		d := newImpatient(t, http2, 0, half)
		stuck, idle := d.get(t, configMaps+"?watch=1"), d.get(t, configMaps+"?watch=1&fieldSelector=metadata.name%3Dlast")
		for i := range 30 {
			d.create(t, fmt.Sprintf("event-%d", i), 1_000_000)
		}
		time.Sleep(1200 * time.Millisecond)
		if n, err := io.Copy(io.Discard, stuck.Body); err == nil || n > 20<<20 {
			t.Errorf("HTTP/2 %v: %d bytes were read, %v", http2, n, err)
		}
		d.create(t, "last", 10)
		if line, err := bufio.NewReader(idle.Body).ReadString('\n'); err != nil || !strings.Contains(line, `"name":"last"`) {
			t.Errorf("HTTP/2 %v: the idle watch got %q, %v", http2, line, err)
		}
	}
}

// Who begins a request and does not go on is told so.
func TestBodyThatDoesNotCome(t *testing.T) {
	d := newImpatient(t, false, 0, half)
	conn, err := net.Dial("tcp", d.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{", configMaps)
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusGatewayTimeout || !strings.Contains(string(text), `"reason":"Timeout"`) {
		t.Errorf("%s %s", response.Status, text)
	}
	d.settled(t)
}

// Ten thousand watches of one client cost some tens of kilobytes each, hold no seat,
// and are all told.
func TestTenThousandWatches(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const watches, perConn = 10_000, 200
	d := newImpatient(t, true, 0, 0)
	before := heap()
	roots := d.Client().Transport.(*http.Transport).TLSClientConfig
	var told sync.WaitGroup
	for range watches / perConn {
		transport := &http.Transport{TLSClientConfig: roots.Clone(), ForceAttemptHTTP2: true}
		t.Cleanup(transport.CloseIdleConnections)
		for range perConn {
			request, _ := http.NewRequestWithContext(t.Context(), "GET", d.URL+configMaps+"?watch=1", nil)
			response, err := transport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			told.Go(func() {
				defer response.Body.Close()
				if line, err := bufio.NewReaderSize(response.Body, 1<<10).ReadString('\n'); err != nil || !strings.Contains(line, `"name":"news"`) {
					t.Errorf("%q, %v", line, err)
				}
			})
		}
	}
	each := (int64(heap()) - int64(before)) / watches
	t.Logf("%d bytes of heap for a watch, its client included; seats: %+v", each, d.gate.Counts(fairness.People))
	if each > 50<<10 {
		t.Errorf("a watch takes %d bytes", each)
	}
	d.settled(t)
	d.create(t, "news", 10)
	told.Wait()
}
