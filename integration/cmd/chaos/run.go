package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/musterhq/muster/integration/chaos"
	"github.com/musterhq/muster/integration/chaos/clock"
	"github.com/musterhq/muster/integration/chaos/containers"
	"github.com/musterhq/muster/integration/chaos/processes"
)

// roundLength is how long clients work before what they saw is judged, with the
// cluster mended. It bounds what the search for an order has to go through.
const roundLength = 30 * time.Second

// shortest is what a last round has to be worth it.
const shortest = 5 * time.Second

// target is a cluster that runs apart from this program.
type target interface {
	chaos.Cluster
	// Down removes it.
	Down() error
	// Logs is a directory of the servers' logs, until Down.
	Logs() string
}

// siege is a cluster of real processes under faults, round after round.
type siege struct {
	cluster target
	seed    uint64
	start   time.Time
	summary
}

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("run", flag.ExitOnError)
	duration := flags.Duration("duration", 10*time.Minute, "how long")
	seed := flags.Uint64("seed", 0, "determines the faults of the first round, the next number those of the next; 0 draws one")
	servers := flags.Int("servers", 3, "servers of the cluster")
	compose := flags.Bool("compose", false, "the cluster is that of deploy/compose, with three servers, and not one of muster dev")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("real processes in namespaces of their own need root: run it with sudo")
	}
	if *seed == 0 {
		*seed = uint64(rand.Uint32()) + 1
	}
	dir, err := os.MkdirTemp("", "muster-chaos-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s := &siege{seed: *seed, start: time.Now(), summary: summary{first: *seed}}
	if *compose {
		s.say("seed %d, the apiservers of deploy/compose, which start now", s.seed)
		s.cluster, err = containers.Up(ctx)
	} else {
		s.say("seed %d, %d servers", s.seed, *servers)
		s.cluster, err = processes.Up(ctx, fmt.Sprintf("chaos%d", os.Getpid()), filepath.Join(dir, "c"), *servers)
	}
	defer func() {
		s.say("removing the cluster")
		err = errors.Join(err, s.cluster.Down())
	}()
	if err != nil {
		return err
	}
	return s.rounds(ctx, *duration)
}

func (s *siege) say(format string, args ...any) {
	fmt.Printf("%7.1fs  %s\n", time.Since(s.start).Seconds(), fmt.Sprintf(format, args...))
}

// rounds goes on until time is up, ctx ends or something is wrong.
func (s *siege) rounds(ctx context.Context, duration time.Duration) error {
	end := time.Now().Add(duration)
	for ctx.Err() == nil && time.Until(end) > shortest {
		if err := s.round(ctx, min(roundLength, time.Until(end))); err != nil {
			err = fmt.Errorf("round %d, seed %d: %w", s.ended+1, s.seed+uint64(s.ended), err)
			s.say("%v\n%v", err, s.summary)
			return err
		}
	}
	s.say("nothing is wrong with what clients and watchers saw\n%v", s.summary)
	return nil
}

func (s *siege) round(ctx context.Context, length time.Duration) error {
	seed, n := s.seed+uint64(s.ended), s.ended+1
	result, err := chaos.Run(ctx, s.cluster, chaos.Options{
		Seed: seed, Name: fmt.Sprintf("r%d", n), Length: length, Workers: 8, Pause: 20 * time.Millisecond,
		Allowed: func(kind string) bool { return kind != chaos.MoveClock || clock.Supported },
		Log:     s.say, Progress: func(now chaos.Stats) {
			s.say("round %d: %d operations, %d unknown, longest gap %v, %d faults", n, now.Operations, now.Unknown, now.Gap.Round(time.Millisecond), now.Count())
		},
	})
	if err != nil {
		return err
	}
	violations, report, err := result.Judge(judging)
	if err != nil {
		return err
	}
	s.say("round %d, seed %d: %v", n, seed, result.Stats)
	if len(violations) == 0 && !report.Undecided {
		s.add(result)
		return nil
	}
	name := fmt.Sprintf("run-%d", seed)
	if err := errors.Join(result.Save(outDir(), name, report), os.CopyFS(filepath.Join(outDir(), name+"-logs"), os.DirFS(s.cluster.Logs()))); err != nil {
		s.say("%v", err)
	}
	if report.Undecided {
		violations = append(violations, fmt.Sprintf("undecided: no order was found or excluded within %v", judging))
	}
	fmt.Printf("%s\nJudge what was seen again:   go run ./integration/cmd/chaos check %s\nThe servers' logs:           %s\nThe same faults again:       make chaos SEED=%d\n",
		strings.Join(violations, "\n"), filepath.Join(outDir(), name+".json"), filepath.Join(outDir(), name+"-logs"), seed)
	return errFailed
}
