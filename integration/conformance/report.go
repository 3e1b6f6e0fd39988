package conformance

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"
)

// State is how a spec ended.
type State string

// States of specs.
const (
	Passed  State = "passed"
	Failed  State = "failed"
	Skipped State = "skipped"
	// Unasked specs are those that the focus left out; those that the run did not
	// reach say so in Why.
	Unasked State = "unasked"
)

// Spec is one spec of the suite and how it ended.
type Spec struct {
	Name  string `json:"name"`
	State State  `json:"state"`
	// Why it was skipped, or how and where it failed.
	Why  string        `json:"why,omitempty"`
	Took time.Duration `json:"took"`
}

// Group is the special interest group that a spec belongs to: "sig-api-machinery".
func (s Spec) Group() string {
	group, _, _ := strings.Cut(strings.TrimPrefix(s.Name, "["), "]")
	return group
}

// specReport is what of ginkgo's report of a spec is of interest here.
type specReport struct {
	ContainerHierarchyTexts []string
	LeafNodeType            string
	LeafNodeText            string
	LeafNodeLabels          []string
	State                   string
	RunTime                 time.Duration
	Failure                 struct {
		Message  string
		Location struct {
			FileName   string
			LineNumber int
		}
	}
}

// Read returns the conformance specs of a report that ginkgo wrote (-json-report).
// focus is what the suite was asked for.
func Read(r io.Reader, skips []Skip, focus *regexp.Regexp) ([]Spec, error) {
	var suites []struct{ SpecReports []specReport }
	if err := json.NewDecoder(r).Decode(&suites); err != nil {
		return nil, fmt.Errorf("read the suite's report: %w", err)
	}
	var specs []Spec
	for _, suite := range suites {
		for _, report := range suite.SpecReports {
			if report.LeafNodeType == "It" && slices.Contains(report.LeafNodeLabels, "Conformance") {
				specs = append(specs, report.spec(skips, focus))
			}
		}
	}
	slices.SortFunc(specs, func(a, b Spec) int { return strings.Compare(a.Name, b.Name) })
	return specs, nil
}

func (r specReport) spec(skips []Skip, focus *regexp.Regexp) Spec {
	s := Spec{Name: strings.Join(append(slices.Clone(r.ContainerHierarchyTexts), r.LeafNodeText), " "), Took: r.RunTime}
	why, left := reason(skips, s.Name)
	switch {
	case !focus.MatchString(s.Name):
		s.State = Unasked
	case left:
		s.State, s.Why = Skipped, why
	case r.State == "passed":
		s.State = Passed
	case r.State == "skipped" && r.Failure.Message != "":
		s.State, s.Why = Skipped, "by the suite: "+firstLine(r.Failure.Message)
	case r.State == "skipped" || r.State == "pending":
		s.State, s.Why = Unasked, "the run ended before it"
	default:
		at := r.Failure.Location
		s.State = Failed
		s.Why = fmt.Sprintf("%s at %s:%d: %s", r.State, path.Base(at.FileName), at.LineNumber, firstLine(r.Failure.Message))
	}
	return s
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}
