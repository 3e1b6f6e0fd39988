package volume

import (
	"slices"

	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

// Fields are the fields of a pod's volume that the agent honours.
var Fields = slices.Concat(
	[]string{"name", "emptyDir.medium", "emptyDir.sizeLimit", "hostPath.path", "hostPath.type"},
	support.Below("persistentVolumeClaim", []string{"claimName", "readOnly"}),
	support.Below("configMap", slices.Concat([]string{"name", "defaultMode"}, projectionFields)),
	support.Below("secret", slices.Concat([]string{"secretName", "defaultMode"}, projectionFields)),
	support.Below("downwardAPI", slices.Concat([]string{"defaultMode"}, downwardFields)),
	support.Below("projected", []string{"defaultMode"}),
	support.Below("projected.sources.configMap", slices.Concat([]string{"name"}, projectionFields)),
	support.Below("projected.sources.secret", slices.Concat([]string{"name"}, projectionFields)),
	support.Below("projected.sources.downwardAPI", downwardFields),
	support.Below("projected.sources.serviceAccountToken", []string{"audience", "expirationSeconds", "path"}),
)

// projectionFields are what the volumes of config maps and secrets have in common.
var projectionFields = []string{"optional", "items.key", "items.path", "items.mode"}

// downwardFields are the files of a pod's own fields.
var downwardFields = support.Below("items", []string{
	"path", "mode", "fieldRef.apiVersion", "fieldRef.fieldPath",
	"resourceFieldRef.containerName", "resourceFieldRef.resource", "resourceFieldRef.divisor",
})
