// Package foreign holds tests by clients of the gRPC door that nobody here wrote:
// grpcurl, and what other languages generate from the protos.
package foreign_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/musterhq/muster/integration/loopback"
	"github.com/musterhq/muster/sdk/sdktest"
)

// TestExamples runs the examples of the SDK, which its own tests run against a fake
// cluster, against a real server.
func TestExamples(t *testing.T) {
	s := loopback.Start(t)
	command := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-run", "^Example", "./...")
	command.Dir = "../../sdk"
	command.Env = append(os.Environ(), sdktest.ExampleServer+"="+s.GRPC, sdktest.ExampleFiles+"="+filepath.Dir(s.Files().CA))
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
