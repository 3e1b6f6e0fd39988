package rest_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// What is wrong, or odd, in HTTP itself.
func TestOddHTTP(t *testing.T) {
	const path = "/api/v1/namespaces/default/configmaps"
	long := strings.Repeat("x", 2<<20)
	for name, test := range map[string]struct {
		request string
		code    int
		body    string
	}{
		"HTTP/1.0":            {"GET " + path + "/a HTTP/1.0\r\n\r\n", 200, `"x":"y"`},
		"HEAD":                {"HEAD " + path + "/a HTTP/1.1\r\nHost: x\r\n\r\n", 405, ""},
		"HEAD of health":      {"HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n", 200, ""},
		"100-continue":        {"POST " + path + "?dryRun=All HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 27\r\n\r\n" + `{"metadata":{"name":"new"}}`, 100, ""},
		"other expectation":   {"POST " + path + " HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\nContent-Length: 0\r\n\r\n", 417, ""},
		"websocket upgrade":   {"GET " + path + "/a HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n", 200, `"x":"y"`},
		"no host":             {"GET / HTTP/1.1\r\n\r\n", 400, ""},
		"two lengths":         {"POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", 400, ""},
		"bad chunk":           {"POST " + path + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, ""},
		"chunks cut off":      {"POST " + path + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"met", 400, "unexpected EOF"},
		"body cut off":        {"POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{\"met", 400, "unexpected EOF"},
		"large header":        {"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + long + "\r\n\r\n", 431, ""},
		"long path":           {"GET /" + long + " HTTP/1.1\r\nHost: x\r\n\r\n", 431, ""},
		"bad escape":          {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, ""},
		"no path":             {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", 404, ""},
		"control in the path": {"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			replica := objectstest.NewReplica()
			d := openOver(t, replica)
			d.call(t, "POST", path, cm)
			before := replica.Store().View().Revision()
			conn, err := net.Dial("tcp", d.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			go func() { // the server may answer, and close, before all is written
				_, _ = io.WriteString(conn, test.request)
				if strings.Contains(name, "cut off") {
					_ = conn.(*net.TCPConn).CloseWrite()
				}
			}()
			_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: strings.Fields(test.request)[0]})
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != test.code {
				t.Fatalf("%s, want %d", response.Status, test.code)
			}
			if test.body != "" {
				if body, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(body), test.body) {
					t.Errorf("%s, %v, want %s", body, err, test.body)
				}
			}
			if after := replica.Store().View().Revision(); after != before {
				t.Errorf("something was done: revision %d, then %d", before, after)
			}
		})
	}
}
