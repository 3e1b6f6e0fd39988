// Package plot draws figures that grow with a count, as SVG.
package plot

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/template"
)

// Panel is one diagram. Both of its axes are logarithmic.
type Panel struct {
	Title string
	Lines []Line
}

// Line is what one contender has.
type Line struct {
	Name   string
	Points []Point
}

// Point is a value at a count; both are above zero.
type Point struct{ Count, Value float64 }

// Measures of a panel in pixels: its whole, and the room around the diagram.
const (
	width, height            = 300, 230
	left, right, top, bottom = 58, 14, 30, 30
)

// colours of the first lines; they differ in grey as well.
var colours = []string{"#0b6e99", "#d9730d", "#4d6461", "#ad1a72"}

// Write draws the panels side by side, three in a row.
func Write(w io.Writer, panels []Panel) error {
	const columns = 3
	rows := (len(panels) + columns - 1) / columns
	var body strings.Builder
	for i, p := range panels {
		fmt.Fprintf(&body, "<g transform=\"translate(%d,%d)\">\n", i%columns*width, i/columns*height)
		p.draw(&body)
		body.WriteString("</g>\n")
	}
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="%[2]d" viewBox="0 0 %[1]d %[2]d" font-family="sans-serif" font-size="11">
<rect width="100%%" height="100%%" fill="white"/>
%[3]s</svg>
`, columns*width, rows*height, body.String())
	return err
}

// scale maps a logarithm onto pixels.
type scale struct {
	low, high float64 // powers of ten
	from, to  float64 // pixels
}

func (s scale) at(v float64) float64 {
	return s.from + (math.Log10(v)-s.low)/(s.high-s.low)*(s.to-s.from)
}

// around is a scale of whole powers of ten that holds all values.
func around(values []float64, from, to float64) scale {
	s := scale{low: math.Inf(1), high: math.Inf(-1), from: from, to: to}
	for _, v := range values {
		s.low, s.high = min(s.low, math.Floor(math.Log10(v))), max(s.high, math.Ceil(math.Log10(v)))
	}
	if len(values) == 0 {
		s.low, s.high = 0, 1
	}
	if s.low == s.high {
		s.high++
	}
	return s
}

func (p Panel) draw(w *strings.Builder) {
	var counts, values []float64
	for _, line := range p.Lines {
		for _, point := range line.Points {
			counts, values = append(counts, point.Count), append(values, point.Value)
		}
	}
	x, y := around(counts, left, width-right), around(values, height-bottom, top)
	text(w, left, 16, "start", `font-weight="bold"`, p.Title)
	for e := x.low; e <= x.high; e++ {
		at := x.at(math.Pow(10, e))
		rule(w, at, y.from, at, y.to)
		text(w, at, y.from+14, "middle", "", power(e))
	}
	for e := y.low; e <= y.high; e++ {
		at := y.at(math.Pow(10, e))
		rule(w, x.from, at, x.to, at)
		text(w, x.from-5, at+4, "end", "", power(e))
	}
	for i, line := range p.Lines {
		line.draw(w, x, y, colours[i%len(colours)], float64(top+12+14*i))
	}
}

func (l Line) draw(w *strings.Builder, x, y scale, colour string, key float64) {
	var points []string
	for _, p := range l.Points {
		points = append(points, fmt.Sprintf("%.1f,%.1f", x.at(p.Count), y.at(p.Value)))
		fmt.Fprintf(w, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"><title>%s %.4g at %.0f</title></circle>\n",
			x.at(p.Count), y.at(p.Value), colour, template.HTMLEscapeString(l.Name), p.Value, p.Count)
	}
	fmt.Fprintf(w, "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", strings.Join(points, " "), colour)
	text(w, width-right-4, key, "end", fmt.Sprintf(`fill="%s"`, colour), l.Name)
}

func rule(w *strings.Builder, x1, y1, x2, y2 float64) {
	fmt.Fprintf(w, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n", x1, y1, x2, y2)
}

func text(w *strings.Builder, x, y float64, anchor, attributes, s string) {
	fmt.Fprintf(w, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" %s>%s</text>\n", x, y, anchor, attributes, template.HTMLEscapeString(s))
}

// power writes a power of ten as people do: 1000, 100k, 1M, 0.1.
func power(e float64) string {
	switch {
	case e >= 6:
		return fmt.Sprintf("%gM", math.Pow(10, e-6))
	case e >= 4:
		return fmt.Sprintf("%gk", math.Pow(10, e-3))
	}
	return fmt.Sprintf("%g", math.Pow(10, e))
}
