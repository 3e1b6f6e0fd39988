package virtual_test

import (
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	wal "github.com/hashicorp/raft-wal"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/integration/chaos/virtual"
)

var (
	seed    = flag.Uint64("chaos.seed", 0, "run this seed only; 0 runs the few that everybody runs")
	length  = flag.Duration("chaos.length", 0, "virtual time of a run; 0 is 20 s for a seed that is named, 4 s else")
	logging = flag.Bool("chaos.log", false, "print what the servers log")
	within  = flag.String("chaos.dir", "/dev/shm", "directory for the servers' data, better in memory: it is not a disk that is tried")
	out     = flag.String("chaos.out", "", "directory for the history of a run that failed")
)

// judging is how long porcupine may search for an order.
const judging = 2 * time.Minute

func TestSeeds(t *testing.T) {
	seeds, each := []uint64{1, 2, 3}, 4*time.Second
	if *seed != 0 {
		seeds, each = []uint64{*seed}, 20*time.Second
	}
	if *length != 0 {
		each = *length
	}
	for _, s := range seeds {
		t.Run(fmt.Sprint(s), func(t *testing.T) { trySeed(t, s, each) })
	}
}

func trySeed(t *testing.T, seed uint64, length time.Duration) {
	begun := time.Now()
	var result *chaos.Result
	dir := dataDir(t)
	synctest.Test(t, func(t *testing.T) { result = virtualRun(t, dir, seed, length) })
	if result == nil {
		return
	}
	ran := time.Since(begun)
	violations, report, err := result.Judge(judging)
	if err != nil {
		t.Fatal(err)
	}
	if report.Undecided {
		t.Error("undecided: time ran out before an order was found or excluded")
	}
	fmt.Printf("seed %d: %v; %.1f s, judged in %.1f s\n", seed, result.Stats, ran.Seconds(), time.Since(begun.Add(ran)).Seconds())
	if len(violations) > 0 {
		t.Errorf("seed %d:\n%s", seed, strings.Join(violations, "\n"))
	}
	if *out != "" && t.Failed() {
		if err := result.Save(*out, fmt.Sprintf("seed-%d", seed), report); err != nil {
			t.Error(err)
		}
	}
}

// A run writes about a megabyte. With segments this small some are full, and
// removed again, and none costs the zeroing of 64 MiB.
func init() { wal.DefaultSegmentSize = 64 << 10 }

// virtualRun is a run inside of a bubble; nil when it could not be made.
func virtualRun(t *testing.T, dir string, seed uint64, length time.Duration) *chaos.Result {
	members := 3
	if seed%5 == 0 {
		members = 5
	}
	log := slog.New(slog.DiscardHandler)
	if *logging {
		log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	c := start(t, dir, members, log)
	if c == nil {
		return nil
	}
	if seed%2 == 0 {
		c.SlowDisks(seed)
	}
	begun := time.Now()
	result, err := chaos.Run(t.Context(), c, chaos.Options{
		Seed: seed, Name: "r", Length: length, Workers: 6, Pause: 60 * time.Millisecond,
		Log: func(format string, args ...any) {
			t.Logf("%6.2fs %s", time.Since(begun).Seconds(), fmt.Sprintf(format, args...))
		},
	})
	if err != nil {
		t.Error(err)
	}
	return result
}

// start starts a cluster, which ends with the bubble; nil when that failed.
func start(t *testing.T, dir string, members int, log *slog.Logger) *virtual.Cluster {
	c, err := virtual.New(t.Context(), dir, members, log)
	if c != nil {
		t.Cleanup(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	if err != nil {
		t.Error(err)
		return nil
	}
	return c
}

// dataDir is a directory for the data of a run.
func dataDir(t *testing.T) string {
	dir, err := os.MkdirTemp(*within, "muster-chaos-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}
