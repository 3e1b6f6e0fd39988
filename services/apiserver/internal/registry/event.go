package registry

import (
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func eventKind(o Options) *Kind {
	return define(corev1.SchemeGroupVersion, &corev1.EventList{}, definition[*corev1.Event]{
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

func eventColumns() []Column {
	doc := corev1.Event{}.SwaggerDoc()
	seen := func(name, description string, at func(*corev1.Event) time.Time) Column {
		return Column{Name: name, Type: "string", Description: description, Value: func(obj Object, now time.Time) any {
			return since(at(obj.(*corev1.Event)), now)
		}}
	}
	return []Column{
		seen("Last Seen", doc["lastTimestamp"], lastSeen),
		column("Type", "string", doc["type"], func(obj *corev1.Event) any { return obj.Type }),
		column("Reason", "string", doc["reason"], func(obj *corev1.Event) any { return obj.Reason }),
		column("Object", "string", doc["involvedObject"], func(obj *corev1.Event) any {
			kind := strings.ToLower(obj.InvolvedObject.Kind)
			if obj.InvolvedObject.Name == "" {
				return kind
			}
			return kind + "/" + obj.InvolvedObject.Name
		}),
		wide(column("Subobject", "string", doc["involvedObject"], func(obj *corev1.Event) any { return obj.InvolvedObject.FieldPath })),
		wide(column("Source", "string", doc["source"], func(obj *corev1.Event) any { return eventSource(obj) })),
		column("Message", "string", doc["message"], func(obj *corev1.Event) any { return strings.TrimSpace(obj.Message) }),
		wide(seen("First Seen", doc["firstTimestamp"], firstSeen)),
		wide(column("Count", "string", doc["count"], func(obj *corev1.Event) any {
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
			Value: func(obj Object, _ time.Time) any { return obj.GetName() },
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
