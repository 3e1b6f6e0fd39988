// Command muster is every role of the cluster, and what looks after it.
package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/musterhq/muster/cmd/muster/internal/cli"
	"github.com/musterhq/muster/internal/failpoint"
	"github.com/musterhq/muster/internal/timerslack"
)

// init keeps main on the process's first thread. Members of a dev cluster enter
// their namespace on one thread and become their program there; were that not
// the first, the process would look dead while the kernel makes it so.
func init() { runtime.LockOSThread() }

func main() {
	if err := failpoint.FromEnvironment(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "muster:", err)
		os.Exit(1)
	}
	if cli.RunsServer(os.Args[1:]) {
		if err := timerslack.Relax(); err != nil {
			_, _ = fmt.Fprintln(os.Stderr, "muster: the server will take more of the processor:", err)
		}
	}
	os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr))
}
