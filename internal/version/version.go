// Package version says which build this is, and of which Kubernetes' API.
package version

import (
	"regexp"
	"runtime"
	"strings"
)

// Version, Commit and Date are stamped by the linker:
//
//	-ldflags "-X github.com/musterhq/muster/internal/version.Version=v1.2.3"
//
// Nothing else writes them. Date is the commit's, in RFC 3339: the same source
// makes the same binary.
var (
	Version = "v0.0.0-dev"
	Commit  = "unknown"
	Date    = "1970-01-01T00:00:00Z"
)

// KubernetesMajor and KubernetesMinor are the version of the Kubernetes API that
// is spoken. Clients compare it with their own.
const (
	KubernetesMajor = "1"
	KubernetesMinor = "36"
)

var notBuildMetadata = regexp.MustCompile(`[^0-9A-Za-z.-]+`)

// Kubernetes is the version that servers and nodes of a build report:
// "v1.36.0+muster.v1.2.3".
func Kubernetes(build string) string {
	v := "v" + KubernetesMajor + "." + KubernetesMinor + ".0" + mark
	if clean := strings.Trim(notBuildMetadata.ReplaceAllString(build, "-"), "-."); clean != "" {
		v += "." + clean
	}
	return v
}

const mark = "+muster"

// IsMuster tells whether a version that a server or a node reports is of a Muster.
func IsMuster(reported string) bool { return strings.Contains(reported, mark) }

// String is what `muster version` prints.
func String() string {
	return "muster " + Version + " (commit " + Commit + ", " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + ")"
}
