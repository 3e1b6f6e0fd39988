package rest_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// stream opens a watch and returns a function that reads its next event.
func (d *door) stream(t *testing.T, path string, headers ...string) func() metav1.WatchEvent {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "GET", d.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		request.Header.Set(name, value)
	}
	response, err := d.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	lines := bufio.NewScanner(response.Body)
	return func() metav1.WatchEvent {
		t.Helper()
		var event metav1.WatchEvent
		if !lines.Scan() {
			t.Fatalf("the watch ended: %v", lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			t.Fatal(err)
		}
		return event
	}
}

func TestWatchJSON(t *testing.T) {
	d := open(t)
	next := d.stream(t, "/api/v1/configmaps?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=30")
	if e := next(); e.Type != "BOOKMARK" || !strings.Contains(string(e.Object.Raw), `"k8s.io/initial-events-end":"true"`) {
		t.Errorf("first event: %s %s", e.Type, e.Object.Raw)
	}
	d.call(t, "POST", "/api/v1/namespaces/default/configmaps", cm)
	if e := next(); e.Type != "ADDED" || !strings.Contains(string(e.Object.Raw), `"x":"y"`) {
		t.Errorf("event: %s %s", e.Type, e.Object.Raw)
	}
}

func TestWatchTable(t *testing.T) {
	d := open(t)
	next := d.stream(t, "/api/v1/configmaps?watch=true", "Accept: application/json;as=Table;v=v1;g=meta.k8s.io")
	for i, name := range []string{"a", "b"} {
		d.call(t, "POST", "/api/v1/namespaces/default/configmaps", strings.Replace(cm, `"a"`, `"`+name+`"`, 1))
		var table metav1.Table
		if err := json.Unmarshal(next().Object.Raw, &table); err != nil {
			t.Fatal(err)
		}
		if len(table.Rows) != 1 || table.Rows[0].Cells[0] != name || (len(table.ColumnDefinitions) > 0) != (i == 0) {
			t.Errorf("table %d: %+v", i, table)
		}
	}
}

func TestWatchBadSelector(t *testing.T) {
	d := open(t)
	response, body := d.call(t, "GET", "/api/v1/configmaps?watch=true&fieldSelector=spec.x=1", "")
	if response.StatusCode != 400 || !strings.Contains(body, "is not a known field selector: only") {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

// A version that is too old is told in the stream, as clients expect it.
func TestWatchExpired(t *testing.T) {
	replica := objectstest.NewReplica()
	replica.Forget()
	d := openOver(t, replica)
	for i := range 8 {
		d.call(t, "POST", "/api/v1/namespaces/default/configmaps", strings.Replace(cm, `"a"`, fmt.Sprintf(`"a%d"`, i), 1))
	}
	e := d.stream(t, "/api/v1/configmaps?watch=true&resourceVersion=1")()
	if e.Type != "ERROR" || !strings.Contains(string(e.Object.Raw), `"code":410`) || !strings.Contains(string(e.Object.Raw), `"reason":"Expired"`) {
		t.Errorf("event: %s %s", e.Type, e.Object.Raw)
	}
}
