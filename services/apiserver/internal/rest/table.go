package rest

import (
	"encoding/json"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// newTable shows objects as kubectl prints them.
func (h *Handler) newTable(r *http.Request, t objects.Target, items []objects.Stored, meta metav1.ListMeta, columns bool) (*metav1.Table, error) {
	include := metav1.IncludeObjectPolicy(r.URL.Query().Get("includeObject"))
	switch include {
	case "":
		include = metav1.IncludeMetadata
	case metav1.IncludeNone, metav1.IncludeMetadata, metav1.IncludeObject:
	default:
		return nil, apierrors.NewBadRequest(`includeObject must be "None", "Metadata" or "Object"`)
	}
	table := &metav1.Table{ListMeta: meta, Rows: make([]metav1.TableRow, 0, len(items))}
	table.SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind(asTable))
	table.ColumnDefinitions = []metav1.TableColumnDefinition{}
	if columns {
		table.ColumnDefinitions = columnsOf(t.Kind)
	}
	now := time.Now()
	for _, item := range items {
		row, err := h.newRow(t.Kind, item, include, now)
		if err != nil {
			return nil, err
		}
		table.Rows = append(table.Rows, row)
	}
	return table, nil
}

func columnsOf(k *registry.Kind) []metav1.TableColumnDefinition {
	var out []metav1.TableColumnDefinition
	if !k.NoNameColumn {
		out = append(out, metav1.TableColumnDefinition{
			Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"],
		})
	}
	for _, c := range k.Columns {
		def := metav1.TableColumnDefinition{Name: c.Name, Type: c.Type, Format: c.Format, Description: c.Description}
		if c.Wide {
			def.Priority = 1
		}
		out = append(out, def)
	}
	return out
}

func (h *Handler) newRow(k *registry.Kind, item objects.Stored, include metav1.IncludeObjectPolicy, now time.Time) (metav1.TableRow, error) {
	obj, err := item.Decode()
	if err != nil {
		return metav1.TableRow{}, err
	}
	row := metav1.TableRow{Cells: make([]any, 0, 1+len(k.Columns))}
	if !k.NoNameColumn {
		row.Cells = append(row.Cells, obj.GetName())
	}
	for _, c := range k.Columns {
		row.Cells = append(row.Cells, c.Value(obj, now))
	}
	var raw []byte
	switch include {
	case metav1.IncludeObject:
		raw, err = h.objects.JSON(item)
	case metav1.IncludeMetadata:
		raw, err = partialJSON(item)
	}
	row.Object = runtime.RawExtension{Raw: raw}
	return row, err
}

func partialJSON(item objects.Stored) ([]byte, error) {
	partial, err := partialOf(item)
	if err != nil {
		return nil, err
	}
	return json.Marshal(partial)
}
