package rest_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"k8s.io/streaming/pkg/httpstream/spdy"
)

const (
	podPath   = "/api/v1/namespaces/default/pods/up/"
	webSocket = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: "
	overSPDY  = "Upgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: "
)

// upgrades are the requests by which streams begin, and their protocols.
var upgrades = []struct{ request, headers string }{
	{"GET " + podPath + "exec?command=cat&stdin=1&stdout=1&stderr=1", webSocket + "v5.channel.k8s.io"},
	{"GET " + podPath + "exec?command=hang&stdin=1&stdout=1&tty=1", webSocket + "v4.channel.k8s.io"},
	{"GET " + podPath + "exec?command=both&command=a&command=b&command=3&stdout=1&stderr=1", webSocket + "base64.channel.k8s.io"},
	{"GET " + podPath + "attach?stdin=1&stdout=1", webSocket + "v5.channel.k8s.io"},
	{"POST " + podPath + "exec?command=cat&stdin=1&stdout=1", overSPDY + "v4.channel.k8s.io"},
	{"POST " + podPath + "attach?stdin=1&stdout=1&tty=1", overSPDY + "v2.channel.k8s.io"},
	{"POST " + podPath + "portforward", overSPDY + "portforward.k8s.io"},
	{"GET " + podPath + "portforward?ports=7", webSocket + "v4.channel.k8s.io"},
	{"GET " + podPath + "portforward", webSocket + "SPDY/3.1+portforward.k8s.io"},
	{"GET /api/v1/namespaces/default/pods?watch=1", webSocket + "x"},
}

// Whatever a client sends once its request is upgraded, the server lives on, and ends
// a WebSocket when the client does.
func FuzzUpgrade(f *testing.F) {
	d := openWithPods(f)
	go func() {
		for range d.agent.ended { // else those that end would wait
		}
	}()
	input := []byte{0x82, 0x84, 0, 0, 0, 0, 0, 'a', 'b', 'c'} // a message on channel 0
	size := []byte("\x81\x9a\x00\x00\x00\x00\x04{\"Width\":80,\"Height\":24}\n\n")
	ended := []byte{0x82, 0x82, 0, 0, 0, 0, 255, 0, 0x88, 0x80, 0, 0, 0, 0}
	frames := spdyFrames(f)
	for i := range upgrades {
		for _, seed := range [][]byte{nil, input, size, append(input, ended...), frames, {0x82, 0xff, 255, 255, 255, 255, 255, 255, 255, 255}} {
			f.Add(byte(i), seed)
		}
	}
	f.Fuzz(func(t *testing.T, which byte, sent []byte) {
		upgrade := upgrades[int(which)%len(upgrades)]
		conn, err := net.Dial("tcp", d.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n%s\r\n\r\n", upgrade.request, upgrade.headers); err != nil {
			t.Fatal(err)
		}
		from := bufio.NewReader(conn)
		response, err := http.ReadResponse(from, nil)
		if err != nil || response.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s: %v, %v", upgrade.request, response, err)
		}
		_, _ = conn.Write(sent) // which the server may refuse to read
		if strings.HasPrefix(upgrade.headers, overSPDY) {
			return // Kubernetes' library waits for half a minute for streams that do not come.
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		if _, err := io.Copy(io.Discard, from); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection is kept after %q", upgrade.request, sent)
		}
	})
}

// spdyFrames are what a client begins a stream with.
func spdyFrames(f *testing.F) []byte {
	f.Helper()
	client, server := net.Pipe()
	defer server.Close()
	conn, err := spdy.NewClientConnection(client)
	if err != nil {
		f.Fatal(err)
	}
	go func() {
		_, _ = conn.CreateStream(http.Header{"Streamtype": {"stdin"}, "Port": {"7"}, "Requestid": {"0"}})
	}()
	_ = server.SetReadDeadline(time.Now().Add(half))
	frames, _ := io.ReadAll(server) // until the client waits for an answer
	if !strings.HasPrefix(string(frames), "\x80\x03") {
		f.Fatalf("%q", frames)
	}
	return frames
}
