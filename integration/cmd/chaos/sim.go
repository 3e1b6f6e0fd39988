package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"github.com/musterhq/muster/integration/harness"
)

// simulation tries seeds, each in a process of its own with one thread for Go
// code: so a seed meets nothing of another one, and as few interleavings as there
// can be are left to chance. What remains: where the runtime switches between
// goroutines, its choice among ready cases of a select, and what the servers draw
// themselves (transaction ids, election timeouts, the order of a client's servers).
type simulation struct {
	binary string
	data   string // directory for the servers' data
	mu     sync.Mutex
	tried  int
	failed []uint64
}

// memory is a file system in memory, where there is one.
const memory = "/dev/shm"

func sim(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("sim", flag.ExitOnError)
	seeds := flags.Int("seeds", 100, "how many seeds to try")
	seed := flags.Uint64("seed", 0, "try this one only, as often as -seeds says; 0 draws seeds")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "muster-chaos-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	data, err := os.MkdirTemp(memory, "muster-chaos-")
	if err != nil {
		data = dir
	}
	// A run that is interrupted leaves its data.
	defer func() { _ = os.RemoveAll(data) }()
	s := &simulation{binary: filepath.Join(dir, "chaos.test"), data: data}
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", s.binary, "./integration/chaos/virtual")
	build.Dir, build.Stderr = harness.Root(), os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the simulation: %w", err)
	}
	var group errgroup.Group
	group.SetLimit(runtime.NumCPU())
	for range *seeds {
		one := *seed
		if one == 0 {
			one = uint64(rand.Uint32()) + 1
		}
		group.Go(func() error { return s.try(ctx, one) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	fmt.Printf("%d runs, %d failed\n", s.tried, len(s.failed))
	if len(s.failed) > 0 {
		return errFailed
	}
	return ctx.Err()
}

// try runs a seed, prints its summary, and all it said if it failed.
func (s *simulation) try(ctx context.Context, seed uint64) error {
	if ctx.Err() != nil {
		return nil
	}
	cmd := exec.CommandContext(ctx, s.binary, "-test.run", "^TestSeeds$", "-test.timeout", "15m",
		"-chaos.seed", fmt.Sprint(seed), "-chaos.dir", s.data, "-chaos.out", outDir())
	// Key exchanges that withstand quantum computers are a tenth of a seed's work.
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=400", "GODEBUG=tlsmlkem=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is no failure of theirs
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if ctx.Err() != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tried++
	if err == nil {
		line, _, _ := strings.Cut(out.String(), "\n")
		fmt.Println(line)
		return nil
	}
	s.failed = append(s.failed, seed)
	fmt.Printf("%s\nseed %d failed. Try it again:   make chaos-sim SEED=%d SEEDS=20\nJudge what was seen again:     go run ./integration/cmd/chaos check %s\n",
		out.String(), seed, seed, filepath.Join(outDir(), fmt.Sprintf("seed-%d.json", seed)))
	return nil
}
