package rest_test

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// The forms in which objects are read, and the corners of reading them.
func TestReadForms(t *testing.T) {
	d := open(t)
	d.call(t, "POST", configMaps, cm)
	const g = ";g=meta.k8s.io"
	for _, test := range []struct {
		name, path string
		headers    []string
		media      string
		want, not  string
	}{
		{"plain", "/a", nil, "application/json", `{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"`, "\n "},
		{"for curl", "/a", []string{"User-Agent: curl/8.0"}, "application/json", "{\n  \"kind\": \"ConfigMap\"", ""},
		{"not pretty for curl", "/a?pretty=false", []string{"User-Agent: curl/8.0"}, "application/json", `{"kind"`, "\n "},
		{"pretty by type", "/a", []string{"Accept: application/json;pretty=1"}, "application/json", "\n  \"kind\"", ""},
		{"YAML list", "", []string{"Accept: application/yaml"}, "application/yaml", "kind: ConfigMapList\n", `"kind"`},
		{"best known", "/a", []string{"Accept: application/cbor,application/yaml;q=0.5,application/json;q=0.4"}, "application/yaml", "kind: ConfigMap\n", ""},
		{"named before any", "/a", []string{"Accept: */*,application/yaml"}, "application/yaml", "kind: ConfigMap\n", ""},
		{"protobuf", "/a", []string{"Accept: application/vnd.kubernetes.protobuf"}, "application/vnd.kubernetes.protobuf", "k8s\x00", ""},
		{"metadata of one", "/a", []string{"Accept: application/json;as=PartialObjectMetadata;v=v1" + g}, "application/json", `"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1"`, `"data"`},
		{"old metadata", "", []string{"Accept: application/json;as=PartialObjectMetadataList;v=v1beta1" + g}, "application/json", `"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1beta1"`, `"data"`},
		{"metadata in protobuf", "", []string{"Accept: application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1" + g}, "application/vnd.kubernetes.protobuf", "PartialObjectMetadataList", ""},
		{"table", "?includeObject=None", []string{"Accept: application/json;as=Table;v=v1" + g}, "application/json", `"kind":"Table","apiVersion":"meta.k8s.io/v1"`, `"PartialObjectMetadata"`},
		{"table of objects", "?includeObject=Object", []string{"Accept: application/json;as=Table;v=v1" + g}, "application/json", `"object":{"kind":"ConfigMap"`, ""},
		{"old table", "", []string{"Accept: application/json;as=Table;v=v1beta1" + g}, "application/json", `"kind":"Table","apiVersion":"meta.k8s.io/v1beta1"`, ""},
		{"old client's table", "", []string{"Accept: application/json;as=Table;v=v1" + g + ",application/json;as=Table;v=v1beta1" + g + ",application/json"}, "application/json", `"apiVersion":"meta.k8s.io/v1"`, ""},
		{"table that protobuf has not", "", []string{"Accept: application/vnd.kubernetes.protobuf;as=Table;v=v1" + g + ",application/json"}, "application/json", `"kind":"ConfigMapList"`, ""},
		{"small and compressed", "/a", []string{"Accept-Encoding: gzip"}, "application/json", `{"kind"`, ""},
		{"selected", "?labelSelector=x%3Dy", nil, "application/json", `"items":[]`, ""},
		{"selected by name", "?fieldSelector=metadata.name%3Da", nil, "application/json", `"name":"a"`, ""},
		{"watch of one by its path", "/a?watch=true", nil, "application/json", `{"kind":"ConfigMap"`, `"type"`},
		{"watch that is none", "?watch=false", nil, "application/json", `"kind":"ConfigMapList"`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			response, body := d.call(t, "GET", configMaps+test.path, "", test.headers...)
			if response.StatusCode != 200 || response.Header.Get("Content-Type") != test.media || !strings.Contains(body, test.want) || test.not != "" && strings.Contains(body, test.not) {
				t.Errorf("%s %s: %s", response.Status, response.Header.Get("Content-Type"), body)
			}
			if response.Header.Get("Content-Encoding") != "" || response.Header.Get("Cache-Control") != "no-cache, private" || response.Header.Get("ETag") != "" {
				t.Errorf("headers: %v", response.Header)
			}
		})
	}
}

// A watch in protobuf is a sequence of lengths and events.
func TestWatchProtobuf(t *testing.T) {
	d := open(t)
	d.call(t, "POST", configMaps, cm)
	for _, accept := range []string{"application/vnd.kubernetes.protobuf;stream=watch", "application/vnd.kubernetes.protobuf"} {
		request, _ := http.NewRequestWithContext(t.Context(), "GET", d.URL+configMaps+"?watch=1", nil)
		request.Header.Set("Accept", accept)
		response, err := d.Client().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var length uint32
		if err := binary.Read(response.Body, binary.BigEndian, &length); err != nil || length > 1<<20 {
			t.Fatal(length, err)
		}
		frame := make([]byte, length)
		if _, err := io.ReadFull(response.Body, frame); err != nil {
			t.Fatal(err)
		}
		var event metav1.WatchEvent
		var unknown runtime.Unknown
		var got corev1.ConfigMap
		if err := event.Unmarshal(frame); err != nil || event.Type != "ADDED" {
			t.Fatal(event.Type, err)
		}
		if err := unknown.Unmarshal(event.Object.Raw[4:]); err != nil || unknown.Kind != "ConfigMap" {
			t.Fatal(unknown, err)
		}
		if err := got.Unmarshal(unknown.Raw); err != nil || got.Name != "a" || got.ResourceVersion == "" {
			t.Error(got, err)
		}
		if media := response.Header.Get("Content-Type"); media != "application/vnd.kubernetes.protobuf;stream=watch" {
			t.Error(media)
		}
	}
}

// Watches as clients of all ages begin them.
func TestWatchForms(t *testing.T) {
	d := open(t)
	d.call(t, "POST", configMaps, cm)
	const g = ";g=meta.k8s.io"
	for name, test := range map[string]struct{ path, accept, want string }{
		"by a parameter":      {configMaps + "?watch=1", "", `"kind":"ConfigMap"`},
		"by an odd parameter": {configMaps + "?watch=yes", "", `"kind":"ConfigMap"`},
		"by the path":         {"/api/v1/watch/namespaces/default/configmaps", "", `"kind":"ConfigMap"`},
		"of all namespaces":   {"/api/v1/watch/configmaps", "", `"kind":"ConfigMap"`},
		"of one by the path":  {"/api/v1/watch/namespaces/default/configmaps/a", "", `"name":"a"`},
		"of one by its name":  {configMaps + "?watch=1&fieldSelector=metadata.name%3Da", "", `"name":"a"`},
		"of metadata":         {configMaps + "?watch=1", "application/json;as=PartialObjectMetadata;v=v1" + g, `"kind":"PartialObjectMetadata"`},
		"of old metadata":     {configMaps + "?watch=1", "application/json;as=PartialObjectMetadata;v=v1beta1" + g, `"apiVersion":"meta.k8s.io/v1beta1"`},
		"of a table":          {configMaps + "?watch=1", "application/json;as=Table;v=v1" + g, `"kind":"Table"`},
	} {
		t.Run(name, func(t *testing.T) {
			request, _ := http.NewRequestWithContext(t.Context(), "GET", d.URL+test.path, nil)
			request.Header.Set("Accept", test.accept)
			response, err := d.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			line, err := bufio.NewReader(response.Body).ReadString('\n')
			if err != nil || !strings.HasPrefix(line, `{"type":"ADDED","object":{`) || !strings.Contains(line, test.want) {
				t.Errorf("%s %v: %s", response.Status, err, line)
			}
		})
	}
}

// A browser watches over a WebSocket.
func TestWatchOverWebSocket(t *testing.T) {
	d := open(t)
	d.call(t, "POST", configMaps, cm)
	for _, accept := range []string{"application/json", "application/vnd.kubernetes.protobuf"} {
		config, err := websocket.NewConfig(strings.Replace(d.URL, "http", "ws", 1)+configMaps+"?watch=1", d.URL)
		if err != nil {
			t.Fatal(err)
		}
		config.Header.Set("Accept", accept)
		ws, err := config.DialContext(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var message []byte
		if err := websocket.Message.Receive(ws, &message); err != nil {
			t.Fatal(err)
		}
		var event metav1.WatchEvent
		if accept == "application/json" {
			err = json.Unmarshal(message, &event)
		} else {
			err = event.Unmarshal(message)
		}
		if err != nil || event.Type != "ADDED" || !strings.Contains(string(event.Object.Raw), "ConfigMap") {
			t.Errorf("%s: %v: %s", accept, err, message)
		}
		if err := ws.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A list that is continued too late is told how to go on.
func TestContinueTooLate(t *testing.T) {
	replica := objectstest.NewReplica()
	replica.Forget()
	d := openOver(t, replica)
	put := func(name string) {
		d.call(t, "POST", configMaps, strings.Replace(cm, `"a"`, `"`+name+`"`, 1))
	}
	for _, name := range []string{"a", "b", "c"} {
		put(name)
	}
	var list corev1.ConfigMapList
	_, body := d.call(t, "GET", configMaps+"?limit=1", "")
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list.Items) != 1 || list.Continue == "" || *list.RemainingItemCount != 2 {
		t.Fatal(body, err)
	}
	for _, name := range []string{"d", "e", "f", "g", "h", "i"} {
		put(name)
	}
	var status metav1.Status
	response, body := d.call(t, "GET", configMaps+"?limit=1&continue="+list.Continue, "")
	if err := json.Unmarshal([]byte(body), &status); err != nil || response.StatusCode != 410 || status.Reason != metav1.StatusReasonExpired || status.Continue == "" {
		t.Fatal(body, err)
	}
	_, body = d.call(t, "GET", configMaps+"?continue="+status.Continue, "")
	var rest corev1.ConfigMapList
	if err := json.Unmarshal([]byte(body), &rest); err != nil || len(rest.Items) != 8 || rest.Items[0].Name != "b" || rest.Continue != "" {
		t.Errorf("%v: %s", err, body)
	}
}
