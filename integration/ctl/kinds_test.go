//go:build root

package ctl_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/musterhq/muster/integration/harness"
)

// testKinds stores an object of every kind and compares the tables that the server
// prints with those that Kubernetes' printers make of the same objects.
func testKinds(t *testing.T, c *cluster) {
	c.inBoth(t, func(t *testing.T, k harness.Kubectl) {
		file := fill(t, k, "kinds.yaml")
		k.Do(t, harness.Step{Args: "apply -f " + file, Want: `(?m)^volumeattributesclass.storage.k8s.io/$NS-kinds created$`})
		wide := squeeze(k.Output(t, "get", "-f", file, "-o", "wide"))
		compare(t, wide, read(t, fill(t, k, "kinds.wide")))
		if !k.Old { // which knows fewer fields
			inOrder(t, squeeze(k.Output(t, "describe", "-f", file)), read(t, fill(t, k, "kinds.describe")))
		}
		k.Do(t, harness.Step{Args: "delete --wait=false -f " + file, Want: `volumeattributesclass.storage.k8s.io "$NS-kinds" deleted\n`})
	})
}

// inOrder looks for each line that is not a comment, behind the one before.
func inOrder(t *testing.T, text, lines string) {
	t.Helper()
	rest := text
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") {
			continue
		}
		_, after, found := strings.Cut(rest, line)
		if !found {
			t.Errorf("%q is missing in what follows the line before:\n%s", line, rest[:min(len(rest), 1500)])
			continue
		}
		rest = after
	}
}

// fill copies a file of testdata for a test, with its names in it, and returns the
// copy's path.
func fill(t *testing.T, k harness.Kubectl, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	text := strings.NewReplacer(k.Names...).Replace(read(t, filepath.Join("testdata", name)))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// varies are the parts of a table that are others each time, and what stands for
// them in testdata.
var varies = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(` {2,}`), "  "},
	{regexp.MustCompile(`(?m)  \d+s(  |\s*$)`), "  0s$1"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`), "TIME"},
	{regexp.MustCompile(`\b10\.(9[6-9]|10\d|11[01])\.\d+\.\d+`), "CLUSTERIP"},
	{regexp.MustCompile(`:3\d{4}/`), ":NODEPORT/"},
	{regexp.MustCompile(`\b3\d{4}/(TCP|UDP)`), "NODEPORT"},
	{regexp.MustCompile(`(?m) +$`), ""},
}

// squeeze puts two spaces between columns and removes what varies.
func squeeze(table string) string {
	for _, v := range varies {
		table = v.what.ReplaceAllString(table, v.by)
	}
	return table
}

// compare names each line that is not as expected.
func compare(t *testing.T, got, want string) {
	t.Helper()
	lines, expected := strings.Split(strings.TrimSpace(got), "\n"), strings.Split(strings.TrimSpace(want), "\n")
	if len(lines) != len(expected) {
		t.Errorf("%d lines, want %d:\n%s", len(lines), len(expected), got)
	}
	for i := range min(len(lines), len(expected)) {
		if lines[i] != expected[i] {
			t.Errorf("line %d:\n%s\nwant\n%s", i+1, lines[i], expected[i])
		}
	}
}
