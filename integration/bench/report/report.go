// Package report prints and stores what a benchmark measured.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
	"time"
)

// Row is one figure. Every benchmark of Muster writes its rows as a JSON array
// to build/bench/<suite>.json.
type Row struct {
	// Name of the figure, with its parameters: "put/members=3/callers=64".
	Name string `json:"name"`
	// Value measured, in Unit.
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Peer is what the peer, or the target, has for the same figure in the same
	// unit; 0 when there is none.
	Peer float64 `json:"peer"`
	// Ratio is Value/Peer; 0 when there is no peer.
	Ratio float64 `json:"ratio"`
}

// New returns a row with its ratio.
func New(name string, value float64, unit string, peer float64) Row {
	r := Row{Name: name, Value: value, Unit: unit, Peer: peer}
	if peer != 0 {
		r.Ratio = value / peer
	}
	return r
}

// Quantile returns the q-quantile (0 to 1) of durations in milliseconds.
func Quantile(durations []time.Duration, q float64) float64 {
	if len(durations) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(durations))
	return float64(sorted[int(q*float64(len(sorted)-1)+0.5)]) / float64(time.Millisecond)
}

// Write prints rows as a table and stores them in dir/<suite>.json.
func Write(w io.Writer, dir, suite string, rows []Row) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "figure\tvalue\tunit\tpeer\tratio\t")
	for _, r := range rows {
		fmt.Fprintf(table, "%s\t%.4g\t%s\t%.4g\t%.2f\t\n", r.Name, r.Value, r.Unit, r.Peer, r.Ratio)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, suite+".json"), append(data, '\n'), 0o644)
}
