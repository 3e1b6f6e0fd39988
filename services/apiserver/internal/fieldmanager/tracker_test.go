package fieldmanager_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/fieldmanager"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
)

var kinds = catalog.All(registry.Options{})

func configMaps() *registry.Kind {
	for _, k := range kinds {
		if k.GVK.Kind == "ConfigMap" {
			return k
		}
	}
	return nil
}

func newConfigMap(data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}, ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "1"}, Data: data}
}

// TestName has what a client is called that names no manager.
func TestName(t *testing.T) {
	for agent, want := range map[string]string{
		"kubectl/v1.37.2 (linux/amd64)": "kubectl",
		"curl":                          "curl",
		"":                              "",
		"a\x00b\nc/1":                   "abc",
		"Größe/1":                       "Größe",
		strings.Repeat("x", 200):        strings.Repeat("x", 128),
		strings.Repeat("ä", 100):        strings.Repeat("ä", 64),
	} {
		if got := fieldmanager.NameOf(agent); got != want {
			t.Errorf("%q is %q, not %q", agent, got, want)
		}
	}
}

// TestManyManagers merges the oldest of more than ten updaters.
func TestManyManagers(t *testing.T) {
	tracker, at := fieldmanager.New(kinds), time.Now().Add(-time.Hour)
	live := newConfigMap(map[string]string{"0": ""})
	tracker.Update(configMaps(), "", nil, live, "manager-0", at)
	for i := 1; i < 13; i++ {
		obj := live.DeepCopy()
		obj.Data[fmt.Sprint(i)] = ""
		tracker.Update(configMaps(), "", live, obj, fmt.Sprintf("manager-%d", i), at.Add(time.Duration(i)*time.Minute))
		live = obj
	}
	names := map[string]string{}
	for _, e := range live.ManagedFields {
		names[e.Manager] = e.FieldsV1.GetRawString()
	}
	if len(names) != 10 || names["ancient-changes"] != `{"f:data":{".":{},"f:0":{},"f:1":{},"f:2":{},"f:3":{}}}` {
		t.Errorf("%d entries: %v", len(names), names)
	}
}

// TestSentEntries has a client write managed fields itself.
func TestSentEntries(t *testing.T) {
	tracker, now := fieldmanager.New(kinds), time.Now()
	live := newConfigMap(map[string]string{"x": "1"})
	tracker.Update(configMaps(), "", nil, live, "creator", now)
	sent := func(entries ...metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
		obj := live.DeepCopy()
		obj.ManagedFields = entries
		tracker.Update(configMaps(), "", live, obj, "updater", now)
		return obj.ManagedFields
	}
	if got := sent(metav1.ManagedFieldsEntry{}); len(got) > 0 {
		t.Errorf("reset to %v", got)
	}
	if got := sent(); len(got) != 1 || got[0].Manager != "creator" {
		t.Errorf("left out: %v", got)
	}
	broken := live.ManagedFields[0]
	broken.FieldsType = "FieldsV2"
	if got := sent(broken); len(got) != 1 || got[0].Manager != "creator" || got[0].FieldsType != "FieldsV1" {
		t.Errorf("unreadable: %v", got)
	}
	renamed := live.ManagedFields[0]
	renamed.Manager = "other"
	if got := sent(renamed); len(got) != 1 || got[0].Manager != "other" {
		t.Errorf("renamed: %v", got)
	}
	untracked := newConfigMap(map[string]string{"x": "1"})
	obj := newConfigMap(map[string]string{"x": "2"})
	if tracker.Update(configMaps(), "", untracked, obj, "updater", now); obj.ManagedFields != nil {
		t.Errorf("an object that nobody tracked: %v", obj.ManagedFields)
	}
}
