// Package conformance runs Kubernetes' own conformance suite against a cluster and
// says how it went, beside a table of what is left out and why.
package conformance

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed skips.txt
var table string

// Skip leaves out the specs with Part in their name.
type Skip struct {
	Part, Reason string
}

// Skips returns the table of what is left out.
func Skips() ([]Skip, error) { return ParseSkips(table) }

// ParseSkips reads a table: reasons, with parts of names indented below each, and
// comments (#). An error names the line.
func ParseSkips(table string) ([]Skip, error) {
	var skips []Skip
	reason := ""
	for i, line := range strings.Split(table, "\n") {
		text := strings.TrimSpace(line)
		switch {
		case text == "" || strings.HasPrefix(line, "#"):
		case text == line:
			reason = text
		case reason == "":
			return nil, fmt.Errorf("table of skips, line %d: %q has no reason above it", i+1, text)
		default:
			skips = append(skips, Skip{text, reason})
		}
	}
	return skips, nil
}

// Expression is what ginkgo's -skip takes to leave these out.
func Expression(skips []Skip) string {
	parts := make([]string, len(skips))
	for i, s := range skips {
		parts[i] = regexp.QuoteMeta(s.Part)
	}
	return strings.Join(parts, "|")
}

// reason returns why a spec is left out, and whether it is.
func reason(skips []Skip, name string) (string, bool) {
	for _, s := range skips {
		if strings.Contains(name, s.Part) {
			return s.Reason, true
		}
	}
	return "", false
}
