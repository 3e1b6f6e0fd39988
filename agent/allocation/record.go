package allocation

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// grants are the resources of a pod's containers, by name.
type grants map[string]corev1.ResourceRequirements

// grantsOf is what the pod asks for.
func grantsOf(pod *corev1.Pod) grants {
	g := grants{}
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			g[list[i].Name] = *list[i].Resources.DeepCopy()
		}
	}
	return g
}

// fit says whether the pod asks for what it was granted.
func (g grants) fit(pod *corev1.Pod) bool {
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if r, ok := g[list[i].Name]; ok && !equality.Semantic.DeepEqual(r, list[i].Resources) {
				return false
			}
		}
	}
	return true
}

// apply returns the pod with what was granted; the pod itself where that is what
// it asks for.
func (g grants) apply(pod *corev1.Pod) *corev1.Pod {
	if g.fit(pod) {
		return pod
	}
	pod = pod.DeepCopy()
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if r, ok := g[list[i].Name]; ok {
				list[i].Resources = *r.DeepCopy()
			}
		}
	}
	return pod
}

// record is allocation.json.
type record struct {
	Containers grants `json:"containers"`
}

func recordPath(dir, podUID string) string { return filepath.Join(dir, podUID, "allocation.json") }

func readRecord(dir, podUID string) (g grants, found bool, err error) {
	b, err := os.ReadFile(recordPath(dir, podUID))
	if errors.Is(err, os.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	var rec record
	if err := json.Unmarshal(b, &rec); err != nil {
		return nil, false, fmt.Errorf("read %s: %w", recordPath(dir, podUID), err)
	}
	return rec.Containers, true, nil
}

// write replaces the record in one step; the file goes with the pod's directory.
func (g grants) write(dir, podUID string) error {
	b, err := json.Marshal(record{Containers: g})
	if err != nil {
		return err
	}
	name := recordPath(dir, podUID)
	if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
		return err
	}
	if err := os.WriteFile(name+".new", b, 0o600); err != nil {
		return fmt.Errorf("note what pod %s was granted: %w", podUID, err)
	}
	return os.Rename(name+".new", name)
}
