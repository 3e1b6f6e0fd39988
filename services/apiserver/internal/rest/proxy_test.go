package rest_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// behind is what a pod serves.
func behind(t *testing.T) (port string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Access-Control-Allow-Origin", "*")
		fmt.Fprintf(w, "%s %s %s %q forwarded=%q", r.Method, r.URL.RequestURI(), body, r.Header.Get("Authorization"), r.Header.Get("X-Forwarded-Uri"))
	})
	mux.HandleFunc("/away", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/there?x=1", http.StatusFound) })
	mux.HandleFunc("/page", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<a href="/next">next</a>`)
	})
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		if kind, data, err := conn.ReadMessage(); err == nil {
			_ = conn.WriteMessage(kind, append([]byte("echo "), data...))
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// addBackends makes a pod and a service of one endpoint with the port.
func (d *door) addBackends(t *testing.T, port string) {
	t.Helper()
	d.addNode(t)
	var number int32
	if _, err := fmt.Sscan(port, &number); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{
		{Name: "main", Image: "web", Ports: []corev1.ContainerPort{{ContainerPort: number}}},
	}}}
	d.put(t, "/api/v1/namespaces/default/pods", pod, false)
	pod.Status.PodIP = "10.9.8.7"
	d.put(t, "/api/v1/namespaces/default/pods/web/status", pod, true)
	d.put(t, "/api/v1/namespaces/default/services", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "svc"}, Spec: corev1.ServiceSpec{
		Ports: []corev1.ServicePort{{Name: "http", Port: 80}},
	}}, false)
	d.put(t, "/api/v1/namespaces/default/services", &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "empty"}, Spec: corev1.ServiceSpec{
		Ports: []corev1.ServicePort{{Port: 80}},
	}}, false)
	d.put(t, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "svc-1", Labels: map[string]string{discoveryv1.LabelServiceName: "svc"}},
		AddressType: discoveryv1.AddressTypeIPv4, Ports: []discoveryv1.EndpointPort{{Name: ptr.To("http"), Port: &number}},
		Endpoints: []discoveryv1.Endpoint{{
			Addresses: []string{"10.9.8.7"}, NodeName: ptr.To("n1"), TargetRef: &corev1.ObjectReference{Kind: "Pod", Name: "web", Namespace: "default"},
		}},
	}, false)
}

func TestProxy(t *testing.T) {
	d := open(t)
	port := behind(t)
	d.addBackends(t, port)
	const base = "/api/v1/namespaces/default/"
	for _, test := range []struct {
		method, path string
		code         int
		want         string
	}{
		{"GET", "pods/web/proxy/a/b?c=d&watch=true", 200, `GET /a/b?c=d&watch=true  "" forwarded="` + base + `pods/web/proxy/a/b"`},
		{"POST", "pods/web:" + port + "/proxy/a/", 200, `POST /a/ text "" forwarded="` + base + `pods/web:` + port + `/proxy/a/"`},
		{"DELETE", "services/svc:http/proxy/a", 200, `DELETE /a text`},
		{"PUT", "services/http:svc:80/proxy/", 200, `PUT / text`},
		{"PATCH", "services/svc:80/proxy/a//b", 200, `PATCH /a/b text`},
		{"GET", "services/svc:81/proxy/", 503, `no service port 81 found for service \"svc\"`},
		{"GET", "services/svc:other/proxy/", 503, `no endpoints available for service \"svc:other\"`},
		{"GET", "services/empty:80/proxy/", 503, `no endpoints available for service \"empty:80\"`},
		{"GET", "services/none/proxy/", 404, `services \"none\" not found`},
		{"GET", "services/ftp:svc:80/proxy/", 400, `invalid service request \"ftp:svc:80\"`},
		{"GET", "pods/web:1/proxy/", 503, "error trying to reach service: dial tcp"},
		{"GET", "pods/web/proxy/page", 200, `<a href="` + base + `pods/web/proxy/next">next</a>`},
	} {
		body := ""
		if test.method != "GET" {
			body = "text"
		}
		response, got := d.call(t, test.method, base+test.path, body, "Authorization: Bearer secret")
		if response.StatusCode != test.code || !strings.Contains(got, test.want) {
			t.Errorf("%s %s: %d %s, want %d %s", test.method, test.path, response.StatusCode, got, test.code, test.want)
		}
		if response.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s: the backend says which origins are allowed", test.method, test.path)
		}
	}
	if response, body := d.call(t, "GET", base+"pods/web/proxy/", "", "X-User: somebody"); response.StatusCode != 403 {
		t.Errorf("as somebody: %d %s", response.StatusCode, body)
	}
}

func TestProxyLeads(t *testing.T) {
	d := open(t)
	d.addBackends(t, behind(t))
	const base = "/api/v1/namespaces/default/pods/web/proxy"
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for path, want := range map[string]string{base: base + "/", base + "?a=b": base + "/?a=b", base + "/away": base + "/there?x=1"} {
		response, err := client.Get(d.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := response.Header.Get("Location"); got != want {
			t.Errorf("%s leads to %s, want %s", path, got, want)
		}
	}
	conn, _, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(d.URL, "http")+base+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.WriteMessage(websocket.TextMessage, []byte("hi")); err != nil {
		t.Fatal(err)
	}
	if _, data, err := conn.ReadMessage(); err != nil || string(data) != "echo hi" {
		t.Errorf("by WebSocket: %q, %v", data, err)
	}
}

func TestNodeProxy(t *testing.T) {
	d := openWithPods(t)
	for path, want := range map[string]string{
		"n1/proxy/pods":        `"name":"up"`,
		"n1:10250/proxy/pods/": `"name":"up"`,
		"n1:10250/proxy/containerLogs/default/up/main?tailLines=1": "a line",
		"n1/proxy/healthz":                  "ok",
		"n1/proxy/metrics/resource":         "node_cpu_usage_seconds_total 1 ",
		"http:n1:10250/proxy/stats/summary": `"nodeName":"n1"`,
	} {
		if response, body := d.call(t, "GET", "/api/v1/nodes/"+path, ""); response.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, response.StatusCode, body)
		}
	}
	for _, path := range []string{"metrics", "metrics/cadvisor", "configz", "logs/", "run/default/up/main"} {
		response, body := d.call(t, "GET", "/api/v1/nodes/n1/proxy/"+path, "")
		if want := "a node's agent does not serve /" + strings.Trim(path, "/"); response.StatusCode != 404 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s", path, response.StatusCode, body)
		}
	}
}
