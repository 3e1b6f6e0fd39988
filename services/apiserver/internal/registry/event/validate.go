package event

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validate/content"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// Bounds of an event's texts, in bytes.
const (
	longestEventWord = 128
	longestEventNote = 1024
)

// validateEvent checks what an event of any version must keep to. One with an
// eventTime is of the new kind, of which more is asked. reporting is how the version
// names the reporting controller.
func validateEvent(obj *corev1.Event, reporting string) field.ErrorList {
	var errs field.ErrorList
	about := obj.InvolvedObject.Namespace
	elsewhere := field.ErrorList{field.Invalid(field.NewPath("involvedObject", "namespace"), about, "does not match event.namespace")}
	switch modern := !obj.EventTime.IsZero(); {
	case about == "" && obj.Namespace != metav1.NamespaceDefault && (!modern || obj.Namespace != metav1.NamespaceSystem):
		// An event about an object without a namespace lives in "default".
		errs = append(errs, elsewhere...)
	case about != "" && about != obj.Namespace && !modern:
		errs = append(errs, elsewhere...)
	}
	if !obj.EventTime.IsZero() {
		errs = append(errs, validateModernEvent(obj, reporting)...)
	}
	return append(errs, check.Invalid(field.NewPath("namespace"), obj.Namespace, validation.IsDNS1123Subdomain(obj.Namespace))...)
}

func validateModernEvent(obj *corev1.Event, reporting string) field.ErrorList {
	var errs field.ErrorList
	if obj.ReportingController == "" {
		errs = append(errs, field.Required(field.NewPath(reporting), ""))
	}
	errs = append(errs, check.Invalid(field.NewPath(reporting), obj.ReportingController, content.IsLabelKey(obj.ReportingController))...)
	for _, word := range []struct{ name, value string }{
		{"reportingInstance", obj.ReportingInstance}, {"action", obj.Action}, {"reason", obj.Reason},
	} {
		if word.value == "" {
			errs = append(errs, field.Required(field.NewPath(word.name), ""))
		}
		errs = append(errs, noLonger(word.name, word.value, longestEventWord)...)
	}
	return append(errs, noLonger("message", obj.Message, longestEventNote)...)
}

func noLonger(name, value string, most int) field.ErrorList {
	if len(value) <= most {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath(name), "", fmt.Sprintf("can have at most %v characters", most))}
}

// validateNewEvent is what events.k8s.io asks of an event beside that: nothing of
// what it calls deprecated.
func validateNewEvent(obj *corev1.Event) field.ErrorList {
	errs := append(validateEvent(obj, "reportingController"), validateEventSeries(obj.Series)...)
	if obj.EventTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("eventTime"), ""))
	}
	if obj.Type != corev1.EventTypeNormal && obj.Type != corev1.EventTypeWarning {
		errs = append(errs, field.Invalid(field.NewPath("type"), "", fmt.Sprintf("has invalid value: %v", obj.Type)))
	}
	for _, old := range []struct {
		name string
		set  bool
	}{
		{"firstTimestamp", !obj.FirstTimestamp.IsZero()}, {"lastTimestamp", !obj.LastTimestamp.IsZero()},
		{"count", obj.Count != 0}, {"source", obj.Source != corev1.EventSource{}},
	} {
		if old.set {
			errs = append(errs, field.Invalid(field.NewPath(old.name), "", "needs to be unset"))
		}
	}
	return errs
}

func validateEventSeries(s *corev1.EventSeries) field.ErrorList {
	var errs field.ErrorList
	if s == nil {
		return nil
	}
	if s.Count < 2 {
		errs = append(errs, field.Invalid(field.NewPath("series.count"), "", "should be at least 2"))
	}
	if s.LastObservedTime.IsZero() {
		errs = append(errs, field.Required(field.NewPath("series.lastObservedTime"), ""))
	}
	return errs
}

// validateChangedEvent lets events.k8s.io change the series of an event alone.
func validateChangedEvent(obj, old *corev1.Event) field.ErrorList {
	errs := validateEvent(obj, "reportingController")
	if !check.Equal(obj.Series, old.Series) {
		errs = append(errs, validateEventSeries(obj.Series)...)
	}
	for _, f := range []struct {
		name     string
		now, was any
	}{
		{"involvedObject", obj.InvolvedObject, old.InvolvedObject}, {"reason", obj.Reason, old.Reason},
		{"message", obj.Message, old.Message}, {"source", obj.Source, old.Source},
		{"firstTimestamp", obj.FirstTimestamp, old.FirstTimestamp}, {"lastTimestamp", obj.LastTimestamp, old.LastTimestamp},
		{"count", obj.Count, old.Count}, {"reason", obj.Reason, old.Reason}, {"type", obj.Type, old.Type},
	} {
		errs = append(errs, apivalidation.ValidateImmutableField(f.now, f.was, field.NewPath(f.name))...)
	}
	// Clients send microseconds, and some did not.
	if !obj.EventTime.Truncate(time.Microsecond).Equal(old.EventTime.Truncate(time.Microsecond)) {
		errs = append(errs, apivalidation.ValidateImmutableField(obj.EventTime, old.EventTime, field.NewPath("eventTime"))...)
	}
	for _, f := range []struct {
		name     string
		now, was any
	}{
		{"action", obj.Action, old.Action}, {"related", obj.Related, old.Related},
		{"reportingController", obj.ReportingController, old.ReportingController}, {"reportingInstance", obj.ReportingInstance, old.ReportingInstance},
	} {
		errs = append(errs, apivalidation.ValidateImmutableField(f.now, f.was, field.NewPath(f.name))...)
	}
	return errs
}
