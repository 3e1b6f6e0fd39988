package containerd

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"sync"

	"github.com/musterhq/muster/agent/runtime"
)

// Labels on containerd's containers; they are all there is to find them by.
const (
	labelPodUID    = "muster.io/pod-uid"
	labelNamespace = "muster.io/pod-namespace"
	labelPod       = "muster.io/pod-name"
	labelContainer = "muster.io/container-name"
	labelAttempt   = "muster.io/attempt"
	labelHash      = "muster.io/spec-hash"
	labelImage     = "muster.io/image"
	labelImageID   = "muster.io/image-id"
	labelLogPath   = "muster.io/log-path"
	// labelRequirements follows a container's limits when they change.
	labelRequirements = "muster.io/requirements"
	// labelStdin says what input a container has: "yes", "once", or absent.
	labelStdin = "muster.io/stdin"
	// labelStopSignal is the one that containerd's client knows, too.
	labelStopSignal = "io.containerd.image.config.stop-signal"
)

// containerID is a function of what is run, so that a call repeated after a
// crash finds what the first one made.
func containerID(podUID, name string, attempt int) string {
	sum := sha256.Sum256([]byte(podUID + "\x00" + name + "\x00" + strconv.Itoa(attempt)))
	return hex.EncodeToString(sum[:])
}

func containerLabels(s sandboxRecord, c runtime.ContainerConfig) map[string]string {
	labels := map[string]string{
		labelPodUID:    s.PodUID,
		labelNamespace: s.Namespace,
		labelPod:       s.Name,
		labelContainer: c.Name,
		labelAttempt:   strconv.Itoa(c.Attempt),
		labelHash:      c.Hash,
		labelImage:     c.Image.Ref,
		labelImageID:   c.Image.RepoDigest,
		labelLogPath:   c.LogPath,
	}
	if c.Requirements != "" {
		labels[labelRequirements] = c.Requirements
	}
	switch {
	case c.Stdin && c.StdinOnce:
		labels[labelStdin] = stdinOnce
	case c.Stdin:
		labels[labelStdin] = "yes"
	}
	return labels
}

// stdinOnce is the label of a container whose input ends with who attached first.
const stdinOnce = "once"

// owners remembers whose a container is, for events that name only the container.
type owners struct {
	mu  *sync.Mutex
	pod map[string]string
}

func newOwners() owners { return owners{mu: new(sync.Mutex), pod: make(map[string]string)} }

func (o owners) set(containerID, podUID string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pod[containerID] = podUID
}

func (o owners) get(containerID string) (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	uid, ok := o.pod[containerID]
	return uid, ok
}

func (o owners) forget(containerID string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.pod, containerID)
}
