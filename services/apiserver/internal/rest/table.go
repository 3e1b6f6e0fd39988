package rest

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// newTable shows objects as kubectl prints them.
func (h *Handler) newTable(f form, t objects.Target, items []objects.Stored, meta metav1.ListMeta, columns bool) (*metav1.Table, error) {
	table := &metav1.Table{ListMeta: meta, Rows: make([]metav1.TableRow, 0, len(items))}
	table.SetGroupVersionKind(f.gvk(asTable))
	table.ColumnDefinitions = []metav1.TableColumnDefinition{}
	if columns {
		table.ColumnDefinitions = definitions(t)
	}
	now := time.Now()
	for _, item := range items {
		row, err := h.newRow(f, t, item, now)
		if err != nil {
			return nil, err
		}
		table.Rows = append(table.Rows, row)
	}
	return table, nil
}

// columnsOf are the columns after Name of what t names.
func columnsOf(t objects.Target) []registry.Column {
	if sub, ok := t.Kind.Subresource(t.Subresource); ok && sub.NewObject != nil {
		return sub.Columns
	}
	return t.Kind.Columns
}

func definitions(t objects.Target) []metav1.TableColumnDefinition {
	var out []metav1.TableColumnDefinition
	if !t.Kind.NoNameColumn {
		out = append(out, metav1.TableColumnDefinition{
			Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"],
		})
	}
	for _, c := range columnsOf(t) {
		def := metav1.TableColumnDefinition{Name: c.Name, Type: c.Type, Format: c.Format, Description: c.Description}
		if c.Wide {
			def.Priority = 1
		}
		out = append(out, def)
	}
	return out
}

func (h *Handler) newRow(f form, t objects.Target, item objects.Stored, now time.Time) (metav1.TableRow, error) {
	obj, err := item.Decode()
	if err != nil {
		return metav1.TableRow{}, err
	}
	columns := columnsOf(t)
	row := metav1.TableRow{Cells: make([]any, 0, 1+len(columns))}
	if !t.Kind.NoNameColumn {
		row.Cells = append(row.Cells, obj.GetName())
	}
	for _, c := range columns {
		row.Cells = append(row.Cells, c.Value(obj, now))
	}
	var raw []byte
	switch f.include {
	case metav1.IncludeObject:
		raw, err = h.objects.JSON(item)
	case metav1.IncludeMetadata:
		raw, err = partialJSON(f, item)
	}
	row.Object = runtime.RawExtension{Raw: raw}
	return row, err
}

func partialJSON(f form, item objects.Stored) ([]byte, error) {
	partial, err := partialOf(f, item)
	if err != nil {
		return nil, err
	}
	return json.Marshal(partial)
}
