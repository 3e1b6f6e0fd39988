package rest

import (
	"regexp"
	"runtime"
	"strings"

	"k8s.io/apimachinery/pkg/version"
)

// The version of the Kubernetes API that is spoken. Clients compare it with
// their own.
const (
	apiMajor = "1"
	apiMinor = "36"
	apiPatch = "0"
)

type versionInfo = version.Info

var notBuildMetadata = regexp.MustCompile(`[^0-9A-Za-z.-]+`)

func newVersionInfo(build, commit string) versionInfo {
	git := "v" + apiMajor + "." + apiMinor + "." + apiPatch + "+muster"
	if clean := strings.Trim(notBuildMetadata.ReplaceAllString(build, "-"), "-."); clean != "" {
		git += "." + clean
	}
	return versionInfo{
		Major: apiMajor, Minor: apiMinor, GitVersion: git, GitCommit: commit, GitTreeState: "clean",
		BuildDate: "1970-01-01T00:00:00Z", GoVersion: runtime.Version(), Compiler: runtime.Compiler,
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}
