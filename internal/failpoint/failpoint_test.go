package failpoint_test

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/musterhq/muster/internal/failpoint"
)

// TestMain is also the process that ends.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "hit" {
		if err := failpoint.FromEnvironment(); err != nil {
			_, _ = os.Stderr.WriteString(err.Error())
			os.Exit(3)
		}
		for range 3 {
			_, _ = os.Stdout.WriteString("x")
			failpoint.Hit(os.Args[2])
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestHitEndsTheProcess(t *testing.T) {
	for _, c := range []struct {
		armed, hit, out, says string
		killed                bool
		code                  int
	}{
		{"", "replica/log/append", "xxx", "", false, 0},
		{"replica/log/append", "replica/log/append", "x", failpoint.Said("replica/log/append"), true, -1},
		{"replica/log/append:3", "replica/log/append", "xxx", failpoint.Said("replica/log/append"), true, -1},
		{"replica/log/append:4", "replica/log/append", "xxx", "", false, 0},
		{"replica/log/append", "replica/log/marked", "xxx", "", false, 0},
		{"replica/log/append:0", "replica/log/append", "", "not the number of a hit", false, 3},
		{"replica/log", "replica/log/append", "", "there is none of that name", false, 3},
	} {
		cmd := exec.Command(os.Args[0], "hit", c.hit)
		cmd.Env = append(os.Environ(), failpoint.Variable+"="+c.armed)
		var out, says strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &says
		_ = cmd.Run()
		status := cmd.ProcessState.Sys().(syscall.WaitStatus)
		killed := status.Signaled() && status.Signal() == syscall.SIGKILL
		if killed != c.killed || cmd.ProcessState.ExitCode() != c.code || out.String() != c.out || !strings.Contains(says.String(), c.says) {
			t.Errorf("armed %q, hit %q: %v, wrote %q, said %q", c.armed, c.hit, cmd.ProcessState, out.String(), says.String())
		}
	}
}

func TestIntercept(t *testing.T) {
	full := errors.New("full")
	var asked []string
	failpoint.Intercept("replica/log/append", func(path string) error {
		asked = append(asked, path)
		if path == "b" {
			return full
		}
		return nil
	})
	for path, want := range map[string]error{"a": nil, "b": full} {
		if err := failpoint.Write("replica/log/append", path); !errors.Is(err, want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	failpoint.Hit("replica/log/append")
	if err := failpoint.Write("replica/log/marked", "b"); err != nil {
		t.Errorf("another point: %v", err)
	}
	failpoint.Intercept("replica/log/append", nil)
	if err := failpoint.Write("replica/log/append", "b"); err != nil || len(asked) != 2 {
		t.Errorf("%v, asked for %q", err, asked)
	}
}

// Each point of the table is somewhere in the source, once, and no other is.
func TestTableIsTheSource(t *testing.T) {
	call := regexp.MustCompile(`failpoint\.(?:Hit|Write)\(("[^"]*")`)
	places := map[string]int{}
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && path != "../.." && (strings.HasPrefix(name, ".") || name == "build") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		for _, found := range call.FindAllSubmatch(source, -1) {
			places[string(found[1])]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	points := failpoint.Points("")
	if len(points) < 40 {
		t.Errorf("there are %d points", len(points))
	}
	for _, p := range points {
		if n := places[`"`+p.Name+`"`]; n != 1 {
			t.Errorf("%s is at %d places of the source", p.Name, n)
		}
		delete(places, `"`+p.Name+`"`)
	}
	for name := range places {
		t.Errorf("%s is not in the table", name)
	}
}

func BenchmarkHitUnarmed(b *testing.B) {
	for b.Loop() {
		failpoint.Hit("replica/log/append")
	}
}
