package rest_test

import (
	"encoding/json"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A scale has columns of its own, not those of what is scaled.
func TestTableOfScale(t *testing.T) {
	d := open(t)
	const deployments = "/apis/apps/v1/namespaces/default/deployments"
	if response, body := d.call(t, "POST", deployments, `{"metadata":{"name":"web"},"spec":{"replicas":3,"selector":{"matchLabels":{"a":"b"}},
		"template":{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`); response.StatusCode != 201 {
		t.Fatal(body)
	}
	_, body := d.call(t, "GET", deployments+"/web/scale", "", "Accept: application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
	var table metav1.Table
	if err := json.Unmarshal([]byte(body), &table); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range table.ColumnDefinitions {
		names = append(names, c.Name)
	}
	if want := []string{"Name", "Desired", "Available", "Age"}; !slices.Equal(names, want) || len(table.Rows) != 1 {
		t.Fatalf("columns %q, %d rows: %s", names, len(table.Rows), body)
	}
	if cells := table.Rows[0].Cells; len(cells) != 4 || cells[0] != "web" || cells[1] != 3.0 || cells[2] != 0.0 {
		t.Errorf("cells %v", cells)
	}
}
