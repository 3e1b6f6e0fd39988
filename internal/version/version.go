// Package version says which build this is.
package version

import "runtime"

// Version and Commit are stamped by the linker:
//
//	-ldflags "-X github.com/musterhq/muster/internal/version.Version=v1.2.3"
//
// Nothing else writes them.
var (
	Version = "v0.0.0-dev"
	Commit  = "unknown"
)

// String is what `muster version` prints.
func String() string {
	return "muster " + Version + " (commit " + Commit + ", " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}
