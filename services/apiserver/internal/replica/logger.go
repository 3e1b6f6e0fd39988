package replica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// raftLogger writes what hashicorp's libraries log to a slog.Logger. What they
// call debug and info is of use to those who work on this package only.
type raftLogger struct {
	hclog.Logger // answers for what is not about writing
	to           *slog.Logger
}

func newRaftLogger(to *slog.Logger) hclog.Logger {
	return raftLogger{Logger: hclog.NewNullLogger(), to: to.With("component", "raft")}
}

func (l raftLogger) write(level slog.Level, msg string, args []any) {
	for i, arg := range args {
		if err, ok := arg.(error); ok && ordinary(err) {
			level = slog.LevelDebug
		}
		if f, ok := arg.(hclog.Format); ok && len(f) > 0 {
			if format, ok := f[0].(string); ok {
				args[i] = fmt.Sprintf(format, f[1:]...)
			}
		}
	}
	l.to.Log(context.Background(), level, msg, args...)
}

// ordinary tells what happens every day: a connection that was closed because a
// member stops, and a follower that is behind and says so.
func ordinary(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, raft.ErrLogNotFound)
}

// Log writes at a level.
func (l raftLogger) Log(level hclog.Level, msg string, args ...any) {
	switch level {
	case hclog.Error:
		l.Error(msg, args...)
	case hclog.Warn:
		l.Warn(msg, args...)
	default:
		l.Debug(msg, args...)
	}
}

// Trace writes at the debug level.
func (l raftLogger) Trace(msg string, args ...any) { l.write(slog.LevelDebug, msg, args) }

// Debug writes at the debug level.
func (l raftLogger) Debug(msg string, args ...any) { l.write(slog.LevelDebug, msg, args) }

// Info writes at the debug level.
func (l raftLogger) Info(msg string, args ...any) { l.write(slog.LevelDebug, msg, args) }

// Warn writes at the warning level.
func (l raftLogger) Warn(msg string, args ...any) { l.write(slog.LevelWarn, msg, args) }

// Error writes at the warning level: what stops the member is returned by Run.
func (l raftLogger) Error(msg string, args ...any) { l.write(slog.LevelWarn, msg, args) }

// With returns a logger that adds attributes.
func (l raftLogger) With(args ...any) hclog.Logger {
	return raftLogger{Logger: l.Logger, to: l.to.With(args...)}
}

// Named returns the same logger; the component attribute names it already.
func (l raftLogger) Named(string) hclog.Logger { return l }

// ResetNamed returns the same logger.
func (l raftLogger) ResetNamed(string) hclog.Logger { return l }
