// Command chaos breaks clusters while clients work on them, and judges what the
// clients saw: in virtual time by seeds (sim), or real processes or containers on
// this machine for a while (run). A history that it kept is judged again by check.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/musterhq/muster/integration/harness"
	"github.com/musterhq/muster/integration/linear"
)

const usage = `usage: chaos sim [-seeds N] [-seed X] | chaos run [-compose] [-duration D] [-seed X] | chaos check FILE`

// judging is how long porcupine may search for an order.
const judging = 5 * time.Minute

// errFailed says that the verdict, which was printed, is bad.
var errFailed = errors.New("FAILED")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
}

func command(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	switch args[0] {
	case "sim":
		return sim(ctx, args[1:])
	case "run":
		return run(ctx, args[1:])
	case "check":
		if len(args) == 2 {
			return check(args[1])
		}
	}
	return errors.New(usage)
}

// outDir is where histories of runs that failed are kept.
func outDir() string { return filepath.Join(harness.Root(), "build", "chaos") }

// check judges a history that was kept.
func check(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("check history: %w", err)
	}
	defer func() { _ = file.Close() }()
	history, err := linear.Read(file)
	if err != nil {
		return err
	}
	report, err := linear.Check(history, judging)
	if err != nil {
		return err
	}
	if report.Undecided {
		return errors.New("undecided: time ran out before an order was found or excluded")
	}
	if len(report.Violations) > 0 {
		fmt.Println(strings.Join(report.Violations, "\n"))
		return errFailed
	}
	fmt.Printf("%d operations and %d watches: nothing is wrong with them\n", len(history.Operations), len(history.Watches))
	return nil
}
