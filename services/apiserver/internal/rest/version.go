package rest

import (
	"runtime"

	apiversion "k8s.io/apimachinery/pkg/version"

	"github.com/musterhq/muster/internal/version"
)

type versionInfo = apiversion.Info

func newVersionInfo(cfg Config) versionInfo {
	return versionInfo{
		Major: version.KubernetesMajor, Minor: version.KubernetesMinor, GitVersion: version.Kubernetes(cfg.Version),
		GitCommit: cfg.Commit, GitTreeState: "clean", BuildDate: cfg.Date,
		GoVersion: runtime.Version(), Compiler: runtime.Compiler, Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
}
