package clientgo_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record"
)

var web = &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", UID: "1"}}

// TestEvents records events by the recorder of events.k8s.io, which makes a series of
// what comes again, and by the older one, which counts. kubectl get events shows both.
func TestEvents(t *testing.T) {
	inVirtualTime(t, func(t *testing.T, c *cluster) {
		clients := c.clients(clientHost)
		counted(t, clients)
		series(t, clients)
	})
}

// counted records by client-go's older recorder.
func counted(t *testing.T, clients *kubernetes.Clientset) {
	broadcaster := record.NewBroadcaster()
	sink := broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: clients.CoreV1().Events("")})
	recorder := broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "counter", Host: "n1"})
	for range 7 {
		recorder.Event(web, corev1.EventTypeWarning, "BackOff", "back-off restarting")
		time.Sleep(time.Second)
	}
	for i := range 15 { // Of what differs in its text alone, ten are written and the rest combined.
		recorder.Eventf(web, corev1.EventTypeNormal, "Pulled", "pulled image %d", i)
		time.Sleep(time.Second)
	}
	synctest.Wait()
	sink.Stop()
	broadcaster.Shutdown()

	lines := shownEvents(t, clients)
	want := line{"Warning", "BackOff", "pod/web", "counter, n1", "back-off restarting", "7"}
	if got := lines["back-off restarting"]; got != want {
		t.Errorf("shown: %q, want %q", got, want)
	}
	combined := 0
	for message := range lines {
		if strings.HasPrefix(message, "(combined from similar events): pulled image") {
			combined++
		}
	}
	if combined != 1 || lines["pulled image 8"].count != "1" {
		t.Errorf("%d events combine others: %q", combined, lines)
	}
}

// series records by the recorder of events.k8s.io.
func series(t *testing.T, clients *kubernetes.Clientset) {
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: clients.EventsV1()})
	ctx, cancel := context.WithCancel(t.Context())
	if err := broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		t.Fatal(err)
	}
	recorder := broadcaster.NewRecorder(scheme.Scheme, "example.com/series")
	for range 5 {
		recorder.Eventf(web, nil, corev1.EventTypeNormal, "Probed", "Probe", "probed it")
		time.Sleep(time.Second)
	}
	time.Sleep(32 * time.Minute) // A series that goes on is written twice an hour, and in the end.
	synctest.Wait()
	cancel()
	broadcaster.Shutdown()

	list, err := clients.EventsV1().Events("default").List(t.Context(), metav1.ListOptions{FieldSelector: "reason=Probed"})
	if err != nil || len(list.Items) != 1 {
		t.Fatalf("%d events, %v", len(list.Items), err)
	}
	e := list.Items[0]
	if e.Series == nil || e.Series.Count != 5 || e.ReportingController != "example.com/series" || e.Action != "Probe" || e.Regarding.Name != "web" {
		t.Errorf("recorded %+v", e)
	}
	old, err := clients.CoreV1().Events("default").Get(t.Context(), e.Name, metav1.GetOptions{})
	if err != nil || old.Series == nil || old.Series.Count != 5 || old.Message != e.Note || old.InvolvedObject != e.Regarding || old.ReportingController != e.ReportingController {
		t.Errorf("as core/v1 it is %+v, %v", old, err)
	}
	want := line{"Normal", "Probed", "pod/web", "example.com/series", "probed it", "5"}
	if got := shownEvents(t, clients)["probed it"]; !strings.HasPrefix(got.source, want.source) || got.count != want.count || got.reason != want.reason {
		t.Errorf("shown: %q, want %q", got, want)
	}
	checkExpiry(t, clients, &e)
}

// checkExpiry: an event goes an hour after it was written last.
func checkExpiry(t *testing.T, clients *kubernetes.Clientset, e *eventsv1.Event) {
	t.Helper()
	time.Sleep(time.Hour + time.Minute)
	if _, err := clients.EventsV1().Events(e.Namespace).Get(t.Context(), e.Name, metav1.GetOptions{}); err == nil {
		t.Errorf("event %s is still there after an hour", e.Name)
	}
}

// line is of kubectl get events -o wide.
type line struct{ kind, reason, object, source, message, count string }

// shownEvents are the lines, by message.
func shownEvents(t *testing.T, clients *kubernetes.Clientset) map[string]line {
	t.Helper()
	table := &metav1.Table{}
	err := clients.CoreV1().RESTClient().Get().Namespace("default").Resource("events").
		SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json").Do(t.Context()).Into(table)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i, c := range table.ColumnDefinitions {
		at[c.Name] = i
	}
	out := map[string]line{}
	for _, row := range table.Rows {
		cell := func(name string) string { return fmt.Sprint(row.Cells[at[name]]) }
		out[cell("Message")] = line{cell("Type"), cell("Reason"), cell("Object"), cell("Source"), cell("Message"), cell("Count")}
	}
	return out
}
