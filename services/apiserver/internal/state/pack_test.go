package state_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// words is what objects of a kind say with little change, 2 KiB like a pod.
var words = func() string {
	var text string
	for i := range 30 {
		text += fmt.Sprintf("container-%d: image registry.example.com/shop/service:%d.2, port %d; ", i, i%3, 8000+i)
	}
	return text
}()

// wordy is an object like others of its kind: a tenth of it is its own.
func wordy(i int) []byte {
	own := make([]byte, len(words)/10)
	_, _ = rand.NewChaCha8([32]byte{byte(i), byte(i >> 8), byte(i >> 16)}).Read(own) // never fails
	at := i % len(words)
	return append(append([]byte(words[:at]), own...), words[at:]...)
}

func putWordy(name, i int) *storev1.Transaction {
	return transaction(put(key("pods", fmt.Sprint("ns-", name%100), fmt.Sprint("pod-", name)), string(wordy(i))))
}

// TestPackedValues puts values that have much, little and nothing in common, and
// finds each as it was put: in the state, in its past, in events, in a snapshot.
func TestPackedValues(t *testing.T) {
	s := state.New()
	w := watch(t, s, "pods", "", "", 0)
	noise := rand.NewChaCha8([32]byte{1})
	var puts [][]byte
	for i := range 300 {
		value := wordy(i)
		switch i % 10 {
		case 7:
			_, _ = noise.Read(value)
		case 8:
			value = value[:i%70]
		case 9:
			value = bytes.Repeat(value, 40+100*(i%20/10)) // 90 KiB, or more than is packed
		}
		puts = append(puts, value)
		do(s, put(key("pods", "a", fmt.Sprintf("%03d", i)), string(value)))
	}
	var snapshot bytes.Buffer
	if err := s.Snapshot(&snapshot); err != nil {
		t.Fatal(err)
	}
	restored := state.New()
	if err := restored.Restore(&snapshot); err != nil {
		t.Fatal(err)
	}
	past, err := s.ViewAt(250)
	if err != nil {
		t.Fatal(err)
	}
	for name, view := range map[string]state.View{"now": s.View(), "restored": restored.View(), "past": past} {
		i := 0
		for e := range view.List("pods", "a") {
			if !bytes.Equal(e.Value(), puts[i]) || e.Size() != len(puts[i]) {
				t.Errorf("%s: pod %d is not what was put", name, i)
			}
			if got := e.AppendValue([]byte("x")); string(got) != "x"+string(puts[i]) {
				t.Errorf("%s: pod %d is not what was put, behind a byte", name, i)
			}
			i++
		}
		if i != view.Count("pods", "a") || i < 250 {
			t.Errorf("%s: %d pods", name, i)
		}
	}
	for seen := 0; seen < len(puts); {
		events, err := w.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if !bytes.Equal(e.Entry.Value(), puts[seen]) {
				t.Errorf("event %d is not what was put", seen)
			}
			seen++
		}
	}
}

// TestValuesWhileOthersArePut reads values from many goroutines while a resource
// gets its vocabularies.
func TestValuesWhileOthersArePut(t *testing.T) {
	const pods = 50
	s := state.New()
	for i := range pods {
		s.Apply(s.View().Index()+1, command(putWordy(i, i)))
	}
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for range 100 {
				for e := range s.View().List("pods", "") {
					if len(e.Value()) != len(wordy(0)) {
						t.Errorf("%s has %d bytes", e.Key, e.Size())
						return
					}
				}
			}
		})
	}
	for i := range 1500 {
		s.Apply(s.View().Index()+1, command(putWordy(i%pods, i)))
	}
	readers.Wait()
}

// BenchmarkValue reads a packed value of 2 KiB.
func BenchmarkValue(b *testing.B) {
	s, _ := grown(b, 1000, func(i int) *storev1.Transaction { return putWordy(i, i) })
	e, _ := s.View().Get(state.Key{Resource: "pods", Namespace: "ns-99", Name: "pod-999"})
	b.ReportAllocs()
	b.SetBytes(int64(e.Size()))
	for b.Loop() {
		_ = e.Value()
	}
}
