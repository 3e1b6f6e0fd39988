// Package event has the kind of events, which two groups serve.
package event

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// Event defines events as the core group has them, which is how they are stored.
func Event(o registry.Options) *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.EventList{}, registry.Definition[*corev1.Event]{
		ShortNames: []string{"ev"}, Namespaced: true, CreateOnUpdate: true,

		Validate: func(obj *corev1.Event) field.ErrorList { return validateEvent(obj, "reportingComponent") },

		Fields:       eventFields,
		Expires:      func(_ *corev1.Event, now time.Time) time.Time { return now.Add(o.EventTTL) },
		Columns:      eventColumns(),
		NoNameColumn: true,
	})
}

func eventFields(obj *corev1.Event) fields.Set {
	source := obj.Source.Component
	if source == "" {
		source = obj.ReportingController
	}
	return fields.Set{
		"involvedObject.kind":            obj.InvolvedObject.Kind,
		"involvedObject.namespace":       obj.InvolvedObject.Namespace,
		"involvedObject.name":            obj.InvolvedObject.Name,
		"involvedObject.uid":             string(obj.InvolvedObject.UID),
		"involvedObject.apiVersion":      obj.InvolvedObject.APIVersion,
		"involvedObject.resourceVersion": obj.InvolvedObject.ResourceVersion,
		"involvedObject.fieldPath":       obj.InvolvedObject.FieldPath,
		"reason":                         obj.Reason,
		"reportingComponent":             obj.ReportingController,
		"source":                         source,
		"type":                           obj.Type,
	}
}

func eventColumns() []registry.Column {
	doc := corev1.Event{}.SwaggerDoc()
	seen := func(name, description string, at func(*corev1.Event) time.Time) registry.Column {
		return registry.Column{Name: name, Type: "string", Description: description, Value: func(obj registry.Object, now time.Time) any {
			return registry.Since(at(obj.(*corev1.Event)), now)
		}}
	}
	return []registry.Column{
		seen("Last Seen", doc["lastTimestamp"], lastSeen),
		registry.ColumnOf("Type", "string", doc["type"], func(obj *corev1.Event) any { return obj.Type }),
		registry.ColumnOf("Reason", "string", doc["reason"], func(obj *corev1.Event) any { return obj.Reason }),
		registry.ColumnOf("Object", "string", doc["involvedObject"], func(obj *corev1.Event) any {
			kind := strings.ToLower(obj.InvolvedObject.Kind)
			if obj.InvolvedObject.Name == "" {
				return kind
			}
			return kind + "/" + obj.InvolvedObject.Name
		}),
		registry.Wide(registry.ColumnOf("Subobject", "string", doc["involvedObject"], func(obj *corev1.Event) any { return obj.InvolvedObject.FieldPath })),
		registry.Wide(registry.ColumnOf("Source", "string", doc["source"], func(obj *corev1.Event) any { return eventSource(obj) })),
		registry.ColumnOf("Message", "string", doc["message"], func(obj *corev1.Event) any { return strings.TrimSpace(obj.Message) }),
		registry.Wide(seen("First Seen", doc["firstTimestamp"], firstSeen)),
		registry.Wide(registry.ColumnOf("Count", "string", doc["count"], func(obj *corev1.Event) any {
			switch {
			case obj.Series != nil:
				return int64(obj.Series.Count)
			case obj.Count == 0:
				return int64(1)
			}
			return int64(obj.Count)
		})),
		{
			Name: "Name", Type: "string", Format: "name", Description: metav1.ObjectMeta{}.SwaggerDoc()["name"], Wide: true,
			Value: func(obj registry.Object, _ time.Time) any { return obj.GetName() },
		},
	}
}

func firstSeen(obj *corev1.Event) time.Time {
	if obj.FirstTimestamp.IsZero() {
		return obj.EventTime.Time
	}
	return obj.FirstTimestamp.Time
}

func lastSeen(obj *corev1.Event) time.Time {
	switch {
	case obj.Series != nil:
		return obj.Series.LastObservedTime.Time
	case obj.LastTimestamp.IsZero():
		return firstSeen(obj)
	}
	return obj.LastTimestamp.Time
}

func eventSource(obj *corev1.Event) string {
	component, host := obj.Source.Component, obj.Source.Host
	if component == "" {
		component = obj.ReportingController
	}
	if host == "" {
		host = obj.ReportingInstance
	}
	if host == "" {
		return component
	}
	return component + ", " + host
}
