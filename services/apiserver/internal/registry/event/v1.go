package event

import (
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// EventV1 is events.k8s.io: the events of the core group under newer names.
func EventV1(stored *registry.Kind) *registry.Kind {
	return registry.DefineVersion(eventsv1.SchemeGroupVersion, &eventsv1.EventList{}, registry.VersionOf[*eventsv1.Event, *corev1.Event]{
		Stored: stored, To: eventFromV1, From: eventToV1,
		ValidateCreate: validateNewEvent, ValidateUpdate: validateChangedEvent,
		Fields: func(obj *eventsv1.Event) fields.Set {
			ref := obj.Regarding
			return fields.Set{
				"regarding.kind":            ref.Kind,
				"regarding.namespace":       ref.Namespace,
				"regarding.name":            ref.Name,
				"regarding.uid":             string(ref.UID),
				"regarding.apiVersion":      ref.APIVersion,
				"regarding.resourceVersion": ref.ResourceVersion,
				"regarding.fieldPath":       ref.FieldPath,
				"reason":                    obj.Reason,
				"reportingController":       obj.ReportingController,
				"type":                      obj.Type,
			}
		},
	})
}

func eventFromV1(obj *eventsv1.Event) *corev1.Event {
	out := &corev1.Event{
		ObjectMeta: obj.ObjectMeta, EventTime: obj.EventTime,
		ReportingController: obj.ReportingController, ReportingInstance: obj.ReportingInstance,
		Action: obj.Action, Reason: obj.Reason, InvolvedObject: obj.Regarding, Related: obj.Related,
		Message: obj.Note, Type: obj.Type, Source: obj.DeprecatedSource,
		FirstTimestamp: obj.DeprecatedFirstTimestamp, LastTimestamp: obj.DeprecatedLastTimestamp, Count: obj.DeprecatedCount,
	}
	if s := obj.Series; s != nil {
		out.Series = &corev1.EventSeries{Count: s.Count, LastObservedTime: s.LastObservedTime}
	}
	return out
}

func eventToV1(obj *corev1.Event) *eventsv1.Event {
	out := &eventsv1.Event{
		ObjectMeta: obj.ObjectMeta, EventTime: obj.EventTime,
		ReportingController: obj.ReportingController, ReportingInstance: obj.ReportingInstance,
		Action: obj.Action, Reason: obj.Reason, Regarding: obj.InvolvedObject, Related: obj.Related,
		Note: obj.Message, Type: obj.Type, DeprecatedSource: obj.Source,
		DeprecatedFirstTimestamp: obj.FirstTimestamp, DeprecatedLastTimestamp: obj.LastTimestamp, DeprecatedCount: obj.Count,
	}
	if s := obj.Series; s != nil {
		out.Series = &eventsv1.EventSeries{Count: s.Count, LastObservedTime: s.LastObservedTime}
	}
	return out
}
