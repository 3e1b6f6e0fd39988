package rest_test

import (
	"strings"
	"testing"

	"golang.org/x/net/websocket"
	corev1 "k8s.io/api/core/v1"
)

// A browser reads a log over a WebSocket: an empty message, the log, the end.
func TestLogOverWebSocket(t *testing.T) {
	d := open(t)
	d.addNode(t)
	d.addPod(t, "up", corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}, "main")
	dial := func(protocols ...string) (*websocket.Conn, error) {
		config, err := websocket.NewConfig(strings.Replace(d.URL, "http", "ws", 1)+"/api/v1/namespaces/default/pods/up/log", d.URL)
		if err != nil {
			t.Fatal(err)
		}
		config.Protocol = protocols
		return config.DialContext(t.Context())
	}
	for _, test := range []struct {
		protocols []string
		want      string
	}{
		{nil, "a line\n"},
		{[]string{"other", "binary.k8s.io"}, "a line\n"},
		{[]string{"base64.binary.k8s.io"}, "YSBsaW5lCg=="},
	} {
		ws, err := dial(test.protocols...)
		if err != nil {
			t.Fatalf("%v: %v", test.protocols, err)
		}
		var first, second, third string
		for _, into := range []*string{&first, &second} {
			if err := websocket.Message.Receive(ws, into); err != nil {
				t.Fatalf("%v: %v", test.protocols, err)
			}
		}
		if end := websocket.Message.Receive(ws, &third); first != "" || second != test.want || end == nil {
			t.Errorf("%v: %q, %q, then %v; want an empty message, %q, the end", test.protocols, first, second, end, test.want)
		}
		_ = ws.Close()
	}
	if ws, err := dial("other"); err == nil {
		_ = ws.Close()
		t.Error("a protocol that nobody knows was taken")
	}
}
