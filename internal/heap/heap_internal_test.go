package heap

import (
	"context"
	"errors"
	"runtime/debug"
	"testing"
	"time"
)

const mib = 1 << 20

func TestPercent(t *testing.T) {
	for _, test := range []struct {
		name       string
		live       uint64  // MiB
		pace, cost float64 // MiB/s, seconds
		want       int
	}{
		{"an empty heap", 0, 0, 0, 400},
		{"a very small one", 8, 0, 0, 300},
		{"a small one doubles", 48, 0, 0, 100},
		{"room is the least", 96, 0, 0, 50},
		{"a large one", 192, 0, 0, 25},
		{"a very large one", 4096, 0, 0, 25},
		{"little is allocated", 200, 10, 0.025, 25},
		{"collections take their share", 200, 20, 0.05, 50},
		{"never more than its own size", 200, 1000, 0.1, 100},
		{"a small one that is busy", 64, 400, 0.015, 200},
	} {
		if got := percent(test.live*mib, test.pace*mib, test.cost, 2); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}

func TestExcess(t *testing.T) {
	const live = 160 * mib
	for _, test := range []struct {
		name             string
		dead, free, pace uint64 // MiB, MiB, MiB/s
		want             bool
	}{
		{"nothing unused", 0, 0, 0, false},
		{"too little", 4, 5, 0, false},
		{"dead objects", 40, 0, 0, true},
		{"free pages", 0, 40, 0, true},
		{"needed soon", 20, 20, 4, false},
		{"needed late", 20, 20, 3, true},
	} {
		before := sample{at: time.Unix(100, 0), live: live, allocated: 500 * mib}
		now := sample{
			at: before.at.Add(2 * time.Second), live: live, objects: live + test.dead*mib, free: test.free * mib,
			allocated: before.allocated + 2*test.pace*mib,
		}
		if got := excess(before, now); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// TestLook has a process with much garbage look at its heap twice: the second
// time it rests.
func TestLook(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	garbage := func() (wasted uint64) {
		for range 64 {
			wasted += uint64(len(make([]byte, mib)))
		}
		return wasted
	}
	k := keeper{before: sample{at: time.Now().Add(-time.Second), allocated: read().allocated + garbage()}}
	now := read()
	k.look(now)
	if after := read(); after.unused()+32*mib > now.unused() {
		t.Errorf("%d MiB were unused, and %d are", now.unused()/mib, after.unused()/mib)
	}
	garbage()
	now = read()
	k.look(now)
	if after := read(); after.unused() < 32*mib {
		t.Errorf("%d MiB were unused, and %d are: it did not rest", now.unused()/mib, after.unused()/mib)
	}
}

// TestDuring sees what it set undone, and GOGC left alone where it is set.
func TestDuring(t *testing.T) {
	before := debug.SetGCPercent(77)
	defer debug.SetGCPercent(before)
	for _, set := range []string{"", "77"} {
		t.Setenv("GOGC", set)
		if err := During(t.Context(), func(context.Context) error { return context.Canceled }); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
		if now := debug.SetGCPercent(77); now != 77 {
			t.Errorf("GOGC is %d after", now)
		}
	}
}
