package storage_test

import (
	"strings"
	"testing"

	"github.com/musterhq/muster/services/apiserver/internal/registry/kindtest"
)

const (
	storageClasses    = "storageclasses.storage.k8s.io"
	attributesClasses = "volumeattributesclasses.storage.k8s.io"
	csiDrivers        = "csidrivers.storage.k8s.io"
	csiNodes          = "csinodes.storage.k8s.io"
	csiCapacities     = "csistoragecapacities.storage.k8s.io"
	volumeAttachments = "volumeattachments.storage.k8s.io"
)

func TestStorageClassValidation(t *testing.T) {
	topology := func(text string) string { return `{provisioner: a.example, allowedTopologies: [` + text + `]}` }
	const expressions = `allowedTopologies[0].matchLabelExpressions`
	kindtest.CheckNew(t, []kindtest.Sample{
		{"complete", storageClasses, `{provisioner: a.example/B, allowVolumeExpansion: true, mountOptions: [ro]}`, ``},
		{"no provisioner", storageClasses, `{}`, `provisioner: Required value`},
		{"reclaim policy", storageClasses, `{provisioner: a, reclaimPolicy: Recycle}`, `reclaimPolicy: Unsupported value: "Recycle": supported values: "Delete", "Retain"`},
		{"binding mode", storageClasses, `{provisioner: a, volumeBindingMode: Later}`, `volumeBindingMode: Unsupported value: "Later": supported values: "Immediate", "WaitForFirstConsumer"`},
		{"parameter without a name", storageClasses, `{provisioner: a, parameters: {"": b}}`, `parameters: Invalid value: "": field can not be empty.`},
		{"large parameters", storageClasses, `{provisioner: a, parameters: {a: ` + strings.Repeat("x", 256<<10) + `}}`, `parameters: Too long: may not be more than 262144 bytes`},
		{"topology without values", storageClasses, topology(`{matchLabelExpressions: [{key: a}]}`), expressions + `[0].values: Required value`},
		{"value twice", storageClasses, topology(`{matchLabelExpressions: [{key: a, values: [b, b]}]}`), expressions + `[0].values[1]: Duplicate value: "b"`},
		{"key twice", storageClasses, topology(`{matchLabelExpressions: [{key: a, values: [b]}, {key: a, values: [c]}]}`), expressions + `[1].key: Duplicate value: "a"`},
		{"term twice", storageClasses, topology(`{matchLabelExpressions: [{key: a, values: [b, c]}]}, {matchLabelExpressions: [{key: a, values: [c, b]}]}`), `allowedTopologies[1].matchLabelExpressions: Duplicate value: ""`},
		{"attributes without any", attributesClasses, `{driverName: a.example}`, `parameters: Required value: must contain at least one key/value pair`},
	})
	kindtest.CheckChanges(t, []kindtest.Change{
		{"class", storageClasses, `{provisioner: a, parameters: {a: b}}`, `{provisioner: b, parameters: {a: c}, reclaimPolicy: Retain, volumeBindingMode: WaitForFirstConsumer}`,
			"parameters: Forbidden: updates to parameters are forbidden.\nprovisioner: Forbidden: updates to provisioner are forbidden.\n" +
				"reclaimPolicy: Forbidden: updates to reclaimPolicy are forbidden.\nvolumeBindingMode: Invalid value: \"WaitForFirstConsumer\": field is immutable"},
		{"what may change", storageClasses, `{provisioner: a}`, `{provisioner: a, allowVolumeExpansion: true}`, ``},
		{"attributes", attributesClasses, `{driverName: a, parameters: {a: b}}`, `{driverName: b, parameters: {a: c}}`, "driverName: Forbidden: updates to driverName are forbidden.\nparameters: Forbidden: updates to parameters are forbidden."},
	})
	kindtest.CheckDefaulted(t, []kindtest.Defaulted{
		{storageClasses, `{provisioner: a}`, `{provisioner: a, reclaimPolicy: Delete, volumeBindingMode: Immediate}`},
		{csiDrivers, `{}`, `{spec: {attachRequired: true, podInfoOnMount: false, storageCapacity: false, fsGroupPolicy: ReadWriteOnceWithFSType, volumeLifecycleModes: [Persistent], requiresRepublish: false, seLinuxMount: false}}`},
	})
	kindtest.CheckShown(t, []kindtest.Shown{
		{storageClasses, `{metadata: {name: a}, provisioner: p}`, `a | p | Delete | Immediate | false`},
		{storageClasses, `{metadata: {name: a, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}, provisioner: p, reclaimPolicy: Retain, allowVolumeExpansion: true}`, `a (default) | p | Retain | Immediate | true`},
		{attributesClasses, `{metadata: {name: a}, driverName: d}`, `a | d`},
	})
}

func TestCSIValidation(t *testing.T) {
	driver := func(text string) string { return `{spec: {` + text + `}}` }
	node := func(text string) string { return `{spec: {drivers: [` + text + `]}}` }
	const drivers = `spec.drivers[0]`
	const key = `name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`
	kindtest.CheckNew(t, []kindtest.Sample{
		{"group policy", csiDrivers, driver(`fsGroupPolicy: Some`), `spec.fsGroupPolicy: Unsupported value: "Some": supported values: "File", "None", "ReadWriteOnceWithFSType"`},
		{"audience twice", csiDrivers, driver(`tokenRequests: [{audience: a}, {audience: a}]`), `spec.tokenRequests[1].audience: Duplicate value: "a"`},
		{"short token", csiDrivers, driver(`tokenRequests: [{audience: a, expirationSeconds: 599}]`), `spec.tokenRequests[0].expirationSeconds: Invalid value: 599: may not specify a duration less than 10 minutes`},
		{"long token", csiDrivers, driver(`tokenRequests: [{audience: a, expirationSeconds: 4294967297}]`), `spec.tokenRequests[0].expirationSeconds: Invalid value: 4294967297: may not specify a duration larger than 2^32 seconds`},
		{"life cycle", csiDrivers, driver(`volumeLifecycleModes: [Forever]`), `spec.volumeLifecycleModes: Unsupported value: "Forever": supported values: "Persistent", "Ephemeral"`},
		{"update period", csiDrivers, driver(`nodeAllocatableUpdatePeriodSeconds: 9`), `spec.nodeAllocatableUpdatePeriodSeconds: Invalid value: 9: must be greater than or equal to 10 seconds`},
		{"node without ID", csiNodes, node(`{name: a.example}`), drivers + `.nodeID: Required value`},
		{"long node ID", csiNodes, node(`{name: a.example, nodeID: ` + strings.Repeat("x", 257) + `}`), drivers + `.nodeID: Invalid value: "` + strings.Repeat("x", 257) + `": must be 256 characters or less`},
		{"negative count", csiNodes, node(`{name: a.example, nodeID: i, allocatable: {count: -1}}`), drivers + `.allocatable.count: Invalid value: -1: must be greater than or equal to 0`},
		{"driver twice", csiNodes, node(`{name: a.example, nodeID: i}, {name: a.example, nodeID: i}`), `spec.drivers[1].name: Duplicate value: "a.example"`},
		{"topology key", csiNodes, node(`{name: a.example, nodeID: i, topologyKeys: ["a b"]}`), drivers + `: Invalid value: "a b": ` + key},
		{"capacity", csiCapacities, `{storageClassName: a, capacity: -1}`, `capacity: Invalid value: "-1": must be greater than or equal to 0`},
	})
	kindtest.CheckChanges(t, []kindtest.Change{
		{"attaching", csiDrivers, driver(``), driver(`attachRequired: false, volumeLifecycleModes: [Ephemeral]`),
			"spec.attachedRequired: Invalid value: false: field is immutable\nspec.volumeLifecycleModes: Invalid value: [\"Ephemeral\"]: field is immutable"},
		{"how many fit", csiNodes, node(`{name: a.example, nodeID: i}`), node(`{name: a.example, nodeID: i, allocatable: {count: 3}}`), ``},
		{"node ID", csiNodes, node(`{name: a.example, nodeID: i}`), node(`{name: a.example, nodeID: j}`), `spec.drivers: Invalid value: {"name":"a.example","nodeID":"j","topologyKeys":null}: field is immutable`},
		{"class", csiCapacities, `{storageClassName: a}`, `{storageClassName: b}`, `storageClassName: Invalid value: "b": field is immutable`},
	})
	kindtest.CheckShown(t, []kindtest.Shown{
		{csiDrivers, `{}`, `true | false | false | <unset> | false | <none>`},
		{csiDrivers, driver(`attachRequired: false, podInfoOnMount: true, tokenRequests: [{audience: a}, {audience: b}], volumeLifecycleModes: [Persistent, Ephemeral]`), `false | true | false | a,b | false | Persistent,Ephemeral`},
		{csiNodes, node(`{name: a.example, nodeID: i}`), `1`},
		{csiCapacities, `{storageClassName: a, capacity: 10Gi}`, `a | 10Gi`},
		{csiCapacities, `{storageClassName: a}`, `a | `},
	})
}

func TestVolumeAttachmentValidation(t *testing.T) {
	spec := func(text string) string {
		return `{spec: {attacher: a.example, nodeName: node1, source: {` + text + `}}}`
	}
	kindtest.CheckNew(t, []kindtest.Sample{
		{"complete", volumeAttachments, spec(`persistentVolumeName: pv`), ``},
		{"no volume", volumeAttachments, spec(``), `spec.source: Required value: must specify exactly one of inlineVolumeSpec and persistentVolumeName`},
		{"empty name", volumeAttachments, spec(`persistentVolumeName: ""`), "spec.source.persistentVolumeName: Required value: must specify non empty persistentVolumeName\n" +
			`spec.source.persistentVolumeName: Invalid value: "": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`},
	})
	kindtest.CheckChanges(t, []kindtest.Change{
		{"spec", volumeAttachments, spec(`persistentVolumeName: pv`), spec(`persistentVolumeName: other`), `spec: Invalid value: {"attacher":"a.example","source":{"persistentVolumeName":"other"},"nodeName":"node1"}: field is immutable`},
	})
	kindtest.CheckShown(t, []kindtest.Shown{{volumeAttachments, `{spec: {attacher: a.example, nodeName: node1, source: {persistentVolumeName: pv}}, status: {attached: true}}`, `a.example | pv | node1 | true`}})
}
