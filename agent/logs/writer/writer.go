// Package writer is the process that containerd gives a container's output to.
// It writes the log in the CRI format and rotates it, and lives as long as the
// container's descriptors are open, whether or not an agent or a containerd runs.
package writer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/musterhq/muster/agent/logs/console"
)

// The descriptors that containerd's shim hands to a logging process.
const (
	stdoutFD = 3
	stderrFD = 4
	readyFD  = 5
)

// Config says where a log goes and how large it may become.
type Config struct {
	Path string
	// MaxBytes of one file and MaxFiles in all, as kubelet's containerLogMaxSize
	// and containerLogMaxFiles; 10 MiB and 5 when zero.
	MaxBytes int64
	MaxFiles int
	// Console is the directory where others attach to the container; none if empty.
	Console string
}

// Arg is the configuration as one argument of the subcommand: containerd passes
// several in any order.
func (c Config) Arg() string {
	return url.Values{"path": {c.Path}, "console": {c.Console}}.Encode()
}

// Parse reads what Arg made, or a path alone.
func Parse(arg string) (Config, error) {
	if strings.HasPrefix(arg, "/") {
		return Config{Path: arg}, nil
	}
	q, err := url.ParseQuery(arg)
	if err != nil || q.Get("path") == "" {
		return Config{}, fmt.Errorf("container log: %q names no path", arg)
	}
	return Config{Path: q.Get("path"), Console: q.Get("console")}, nil
}

// Main is the hidden subcommand: it copies the inherited descriptors to the log
// until both have ended.
func Main(cfg Config) error {
	// One of these runs for every container: it should stay small.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(20)
	debug.FreeOSMemory() // What the initialisation of unrelated packages left.
	// The shim sends SIGTERM once the container is gone; what is in the pipes
	// still has to be written, and their end is what ends this process.
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
	ready := os.NewFile(readyFD, "ready")
	if ready == nil {
		return errors.New("write container log: no ready descriptor; this command is for containerd")
	}
	return Run(context.Background(), cfg, os.NewFile(stdoutFD, "stdout"), os.NewFile(stderrFD, "stderr"), func() error {
		if _, err := ready.Write([]byte{0}); err != nil {
			return fmt.Errorf("tell containerd of readiness: %w", err)
		}
		return ready.Close()
	})
}

// Run copies both streams to the log until they end. It calls ready once it can write.
func Run(ctx context.Context, cfg Config, stdout, stderr io.Reader, ready func() error) (err error) {
	f, err := openFile(cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if cfg.Console != "" {
		h, err := openHub(cfg.Console)
		if err != nil {
			return err
		}
		defer h.close()
		stdout, stderr = h.tee(stdout, console.Output), h.tee(stderr, console.Errors)
	}
	if err := ready(); err != nil {
		return err
	}
	group, _ := errgroup.WithContext(ctx)
	group.Go(func() error { return f.copy(stdout, "stdout") })
	group.Go(func() error { return f.copy(stderr, "stderr") })
	return group.Wait()
}
