package report_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/bench/report"
)

func TestWriteStoresWhatItPrints(t *testing.T) {
	dir := t.TempDir()
	rows := []report.Row{report.New("a/n=1", 3, "ms", 2), report.New("b", 1, "s", 0)}
	var out bytes.Buffer
	if err := report.Write(&out, dir, "s", rows); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, "s.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got []report.Row
	if err := json.Unmarshal(data, &got); err != nil || len(got) != 2 || got[0].Ratio != 1.5 || got[1].Ratio != 0 {
		t.Fatalf("stored %s (%v)", data, err)
	}
	if !bytes.Contains(out.Bytes(), []byte("a/n=1")) {
		t.Fatalf("printed %s", out.String())
	}
}

func TestQuantile(t *testing.T) {
	d := []time.Duration{3 * time.Millisecond, time.Millisecond, 2 * time.Millisecond}
	for q, want := range map[float64]float64{0: 1, 0.5: 2, 1: 3} {
		if got := report.Quantile(d, q); got != want {
			t.Errorf("quantile %v: %v, want %v", q, got, want)
		}
	}
}
