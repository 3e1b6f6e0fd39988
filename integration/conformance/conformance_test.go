package conformance_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/musterhq/muster/integration/conformance"
)

func TestParseSkips(t *testing.T) {
	got, err := conformance.ParseSkips("# a comment\n\nno webhooks yet\n\tAdmissionWebhook\n\t[DRA] (all)\n\nslow\n\tSlow\n")
	want := []conformance.Skip{{"AdmissionWebhook", "no webhooks yet"}, {"[DRA] (all)", "no webhooks yet"}, {"Slow", "slow"}}
	if err != nil || !cmp.Equal(got, want) {
		t.Fatalf("%v: %s", err, cmp.Diff(want, got))
	}
	expression := regexp.MustCompile(conformance.Expression(got))
	for name, skipped := range map[string]bool{"[sig-node] [DRA] (all) of it": true, "[sig-node] D (all)": false} {
		if expression.MatchString(name) != skipped {
			t.Errorf("%s: skipped %v, want %v", name, !skipped, skipped)
		}
	}
	if _, err := conformance.ParseSkips("\tno reason\n"); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("a spec without a reason: %v", err)
	}
	if skips, err := conformance.Skips(); err != nil || len(skips) == 0 {
		t.Errorf("the table itself: %v, %d rows", err, len(skips))
	}
}

// report is what ginkgo writes of specs: state, label, text, what failed.
func report(t *testing.T, specs ...map[string]any) *bytes.Reader {
	t.Helper()
	data, err := json.Marshal([]map[string]any{{"SpecReports": specs}})
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(data)
}

func spec(state, group, text string, labels ...string) map[string]any {
	return map[string]any{"LeafNodeType": "It", "ContainerHierarchyTexts": []string{"[" + group + "] Pods"}, "LeafNodeText": text,
		"LeafNodeLabels": labels, "State": state, "RunTime": 2 * time.Second}
}

func TestRead(t *testing.T) {
	failed := spec("timedout", "sig-node", "hangs", "Conformance")
	failed["Failure"] = map[string]any{"Message": "no answer\nsecond line", "Location": map[string]any{"FileName": "/a/pods.go", "LineNumber": 7}}
	unable := spec("skipped", "sig-node", "needs a GPU", "Conformance")
	unable["Failure"] = map[string]any{"Message": "no GPU here"}
	input := report(t, failed, unable,
		spec("passed", "sig-node", "runs", "Conformance"), spec("skipped", "sig-node", "is left out", "Conformance"),
		spec("skipped", "sig-node", "is too late", "Conformance"), spec("skipped", "sig-apps", "is out of focus", "Conformance"),
		spec("passed", "sig-node", "is no conformance spec"))
	got, err := conformance.Read(input, []conformance.Skip{{Part: "left out", Reason: "no time"}}, regexp.MustCompile(`\[sig-node\]`))
	const s = 2 * time.Second
	want := []conformance.Spec{
		{"[sig-apps] Pods is out of focus", conformance.Unasked, "", s},
		{"[sig-node] Pods hangs", conformance.Failed, "timedout at pods.go:7: no answer", s},
		{"[sig-node] Pods is left out", conformance.Skipped, "no time", s},
		{"[sig-node] Pods is too late", conformance.Unasked, "the run ended before it", s},
		{"[sig-node] Pods needs a GPU", conformance.Skipped, "by the suite: no GPU here", s},
		{"[sig-node] Pods runs", conformance.Passed, "", s},
	}
	if err != nil || !cmp.Equal(got, want) {
		t.Fatalf("%v: %s", err, cmp.Diff(want, got))
	}
}

func TestSummaryCountsByGroup(t *testing.T) {
	specs := []conformance.Spec{
		{Name: "[sig-node] a", State: conformance.Passed}, {Name: "[sig-node] b", State: conformance.Failed, Why: "at b.go:1"},
		{Name: "[sig-apps] c", State: conformance.Unasked}, {Name: "[sig-node] d", State: conformance.Unasked, Why: "the run ended before it"},
		{Name: "[sig-node] e", State: conformance.Skipped, Why: "no GPU"}, {Name: "[sig-node] f", State: conformance.Skipped, Why: "no GPU"},
	}
	var out strings.Builder
	if err := conformance.Summarize(&out, specs); err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^ *sig-node +1 +1 +2 +1 *$`).MatchString(out.String()) ||
		strings.Contains(out.String(), "sig-apps") || !strings.Contains(out.String(), "b.go:1") ||
		!strings.Contains(out.String(), "2 specs: no GPU\n") {
		t.Errorf("summary:\n%s", out.String())
	}
	if err := conformance.Conformant(specs); err == nil || err.Error() != "1 specs passed, 2 did not" {
		t.Errorf("verdict: %v", err)
	}
	if err := conformance.Conformant(specs[:1]); err != nil {
		t.Errorf("all passed: %v", err)
	}
	if conformance.Conformant(nil) == nil {
		t.Error("a focus that matches nothing was called a success")
	}
}
