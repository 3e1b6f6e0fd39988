package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/musterhq/muster/integration/bench/report"
	"github.com/musterhq/muster/integration/bench/store"
	"github.com/musterhq/muster/integration/bench/store/plot"
)

// counted is what a growth figure's name ends in, before the count.
const counted = "/objects="

func sizes(list string) ([]int, error) {
	var out []int
	for field := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 10_000 {
			return nil, fmt.Errorf("-sizes: %q is no count from 10000", field)
		}
		out = append(out, n)
	}
	return out, nil
}

func growthCases(sizes []int) []store.Case {
	var cases []store.Case
	for _, n := range sizes {
		cases = append(cases, store.GrowthCases(n)...)
	}
	return cases
}

// draw plots each figure over the count of objects.
func draw(path string, pair store.Pair, rows []report.Row) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if e := file.Close(); err == nil {
			err = e
		}
	}()
	return plot.Write(file, panels(pair, rows))
}

func panels(pair store.Pair, rows []report.Row) []plot.Panel {
	var panels []plot.Panel
	index := map[string]int{}
	for _, r := range rows {
		name, count, _ := strings.Cut(r.Name, counted)
		objects, err := strconv.ParseFloat(count, 64)
		if err != nil || r.Value <= 0 || r.Peer <= 0 {
			continue // nothing that a logarithm can show
		}
		i, known := index[name]
		if !known {
			i = len(panels)
			index[name] = i
			panels = append(panels, plot.Panel{Title: fmt.Sprintf("%s, %s", name, r.Unit),
				Lines: []plot.Line{{Name: pair.Store.Name()}, {Name: pair.Peer.Name()}}})
		}
		for line, value := range []float64{r.Value, r.Peer} {
			l := &panels[i].Lines[line]
			l.Points = append(l.Points, plot.Point{Count: objects, Value: value})
		}
	}
	return panels
}

// finish prints and stores the rows, and the plot of growth.
func (s settings) finish(out string, pair store.Pair, rows []report.Row) error {
	fmt.Println("peer is etcd in the same run; of rates (/s) more is better, of times and bytes less")
	if !s.growth {
		return report.Write(os.Stdout, out, "store", rows)
	}
	if err := report.Write(os.Stdout, out, "store-growth", rows); err != nil {
		return err
	}
	return draw(filepath.Join(out, "store-growth.svg"), pair, rows)
}
