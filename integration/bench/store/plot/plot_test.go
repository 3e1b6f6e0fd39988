package plot_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/musterhq/muster/integration/bench/store/plot"
)

// TestWrite draws a value that does not grow, and looks where it is drawn.
func TestWrite(t *testing.T) {
	var out strings.Builder
	err := plot.Write(&out, []plot.Panel{{Title: "a < b", Lines: []plot.Line{
		{Name: "flat", Points: []plot.Point{{Count: 1e4, Value: 300}, {Count: 1e6, Value: 300}}},
		{Name: "grows", Points: []plot.Point{{Count: 1e4, Value: 10}, {Count: 1e6, Value: 1000}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	decoder := xml.NewDecoder(strings.NewReader(out.String()))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, out.String())
		}
		if start, is := token.(xml.StartElement); is && start.Name.Local == "polyline" {
			lines = append(lines, start.Attr[0].Value)
		}
	}
	// From the lower left corner to the upper right one, and level in between.
	want := []string{"58.0,74.4 286.0,74.4", "58.0,200.0 286.0,30.0"}
	if strings.Join(lines, "; ") != strings.Join(want, "; ") {
		t.Errorf("drawn %q, want %q", lines, want)
	}
	for _, label := range []string{">10k<", ">1M<", ">1000<", "a &lt; b"} {
		if !strings.Contains(out.String(), label) {
			t.Errorf("no %s in\n%s", label, out.String())
		}
	}
}
