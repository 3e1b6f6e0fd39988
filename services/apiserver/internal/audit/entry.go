package audit

import (
	"encoding/json"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

// Entry is what is written down of one request. All methods take a nil one, of which
// nothing is. It has one user at a time.
type Entry struct {
	log    *Log
	config config
	event  auditv1.Event

	allowed bool
	reason  string
}

// ID of the request, "" of a nil entry.
func (e *Entry) ID() string {
	if e == nil {
		return ""
	}
	return string(e.event.AuditID)
}

// WantsRequest tells whether the request's object is written down.
func (e *Entry) WantsRequest() bool {
	return e != nil && (e.config.level == auditv1.LevelRequest || e.config.level == auditv1.LevelRequestResponse)
}

// WantsResponse tells whether the answer is written down.
func (e *Entry) WantsResponse() bool {
	return e != nil && e.config.level == auditv1.LevelRequestResponse
}

// Request is told the request's object, in JSON.
func (e *Entry) Request(object []byte) {
	if e.WantsRequest() && json.Valid(object) {
		e.event.RequestObject = e.unknown(object)
	}
	var about struct {
		Metadata struct{ Name, Namespace string }
	}
	if e == nil || e.event.ObjectRef == nil || json.Unmarshal(object, &about) != nil {
		return
	}
	if e.event.ObjectRef.Name == "" {
		e.event.ObjectRef.Name = about.Metadata.Name
	}
}

// Started is told that the answer to a request has begun that takes long: a watch.
func (e *Entry) Started(code int) {
	if e == nil {
		return
	}
	e.event.ResponseStatus = &metav1.Status{Code: int32(code)}
	e.decide(code)
	e.stage(auditv1.StageResponseStarted)
}

// Completed is told the outcome: the code and, where there are any, the Status that says
// why and the answer's object in JSON.
func (e *Entry) Completed(code int, status *metav1.Status, object []byte) {
	if e == nil {
		return
	}
	e.event.ResponseStatus = &metav1.Status{Code: int32(code)}
	if status != nil {
		e.event.ResponseStatus = &metav1.Status{
			Status: status.Status, Message: status.Message, Reason: status.Reason, Details: status.Details, Code: int32(code),
		}
	}
	e.decide(code)
	if e.WantsResponse() && json.Valid(object) {
		e.event.ResponseObject = e.unknown(object)
	}
	e.stage(auditv1.StageResponseComplete)
}

// Panicked is told that answering broke.
func (e *Entry) Panicked(why string) {
	if e == nil {
		return
	}
	e.event.ResponseStatus = &metav1.Status{
		Code: http.StatusInternalServerError, Status: metav1.StatusFailure,
		Reason: metav1.StatusReasonInternalError, Message: "APIServer panic'd: " + why,
	}
	e.stage(auditv1.StagePanic)
}

// decide says whether the request was allowed, and by what.
func (e *Entry) decide(code int) {
	decision, reason := "allow", e.reason
	if code == http.StatusForbidden && !e.allowed {
		decision = "forbid"
	} else if !e.allowed {
		reason = "" // The objects told more than the request.
	}
	e.event.Annotations = map[string]string{"authorization.k8s.io/decision": decision, "authorization.k8s.io/reason": reason}
}

func (e *Entry) stage(stage auditv1.Stage) {
	if e.config.omits(stage) {
		return
	}
	e.event.Stage, e.event.StageTimestamp = stage, now()
	if stage == auditv1.StageRequestReceived {
		e.event.StageTimestamp = e.event.RequestReceivedTimestamp
	}
	e.log.write(&e.event)
}

// unknown wraps an object, without what the policy leaves out.
func (e *Entry) unknown(object []byte) *runtime.Unknown {
	if e.config.omitFields {
		object = withoutManagedFields(object)
	}
	return &runtime.Unknown{Raw: object, ContentType: runtime.ContentTypeJSON}
}

// withoutManagedFields drops metadata.managedFields of an object, or of a list's items.
func withoutManagedFields(object []byte) []byte {
	var obj map[string]any
	if json.Unmarshal(object, &obj) != nil {
		return object
	}
	drop := func(o any) {
		if o, ok := o.(map[string]any); ok {
			if meta, ok := o["metadata"].(map[string]any); ok {
				delete(meta, "managedFields")
			}
		}
	}
	drop(obj)
	if items, ok := obj["items"].([]any); ok {
		for _, item := range items {
			drop(item)
		}
	}
	if out, err := json.Marshal(obj); err == nil {
		return out
	}
	return object
}
