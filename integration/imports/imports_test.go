// Package imports_test holds the tree to the rules of ARCHITECTURE.md on who may
// import whom.
package imports_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/musterhq/muster/"

// rule forbids packages below `in` to import those below any of `not`, but for
// those below any of `but`. Paths without a dot in their first element are ours
// or the standard library's.
type rule struct {
	in       string
	not, but []string
	why      string
}

var rules = []rule{
	{"proto", []string{module}, []string{module + "proto"}, "contracts depend on nothing of ours"},
	{"sdk", []string{module}, []string{module + "sdk", module + "proto"}, "users of the SDK get only the contracts with it"},
	{"agent", []string{module + "services", module + "cmd"}, nil, "the agent knows the services by their contracts"},
	{"services", []string{module + "agent", module + "cmd"}, nil, "the services know the agent by its contract"},
	{"services/apiserver", []string{module + "services"}, []string{module + "services/apiserver"}, "services do not know each other"},
	{"services/scheduler", []string{module + "services"}, []string{module + "services/scheduler"}, "services do not know each other"},
	{"services/controllermanager", []string{module + "services"}, []string{module + "services/controllermanager"}, "services do not know each other"},
	{"internal", []string{module + "services", module + "agent", module + "cmd", module + "sdk"}, nil, "what is shared knows nobody who shares it"},
	{"services/apiserver/internal/state", []string{"github.com/hashicorp/raft", "google.golang.org/grpc", "log", "os", "net"}, nil, "the state machine is pure"},
	{"services/scheduler/core", []string{module + "sdk", module + "proto", "google.golang.org/grpc", "sync", "log", "os", "net"}, nil, "placement is decided without a client"},
	{"agent/runtime", []string{module + "agent/pod", module + "sdk"}, nil, "a runtime does not know what runs on it"},
}

func TestImports(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "build" || d.Name() == "bin") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			check(t, root, path, seen)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if seen[r.in] == 0 {
			t.Errorf("the rule about %s matched no file: was it moved?", r.in)
		}
	}
}

func check(t *testing.T, root, path string, seen map[string]int) {
	rel, err := filepath.Rel(root, path)
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rules {
		if !below(filepath.ToSlash(filepath.Dir(rel)), r.in) {
			continue
		}
		seen[r.in]++
		for _, spec := range file.Imports {
			imported, _ := strconv.Unquote(spec.Path.Value)
			if matches(imported, r.not) && !matches(imported, r.but) {
				t.Errorf("%s imports %s: %s", rel, imported, r.why)
			}
		}
	}
}

func matches(path string, prefixes []string) bool {
	for _, p := range prefixes {
		if below(path, p) {
			return true
		}
	}
	return false
}

// below says whether path is dir or within it.
func below(path, dir string) bool {
	dir = strings.TrimSuffix(dir, "/")
	return path == dir || strings.HasPrefix(path, dir+"/")
}
