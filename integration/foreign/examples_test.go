package foreign_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/musterhq/muster/sdk/sdktest"
)

// TestExamples runs the examples of the SDK, which its own tests run against a fake
// cluster, against a real server.
func TestExamples(t *testing.T) {
	s := start(t)
	command := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run", "^Example", "./...")
	command.Dir = "../../sdk"
	command.Env = append(os.Environ(), sdktest.ExampleServer+"="+s.address, sdktest.ExampleFiles+"="+filepath.Dir(s.ca))
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
