// Package chaos has clients work on a cluster while it is broken in ways that a
// seed determines, and gathers what they saw for package linear to judge. The
// cluster is given by an interface with three implementations: virtual, in one
// process and in virtual time, processes and containers, real ones on this machine.
package chaos

import (
	"context"
	"time"

	"github.com/musterhq/muster/sdk"
)

// Outside is where clients are, in a Pair.
const Outside = ""

// Pair is one direction between two members, or a member and Outside.
type Pair struct{ From, To string }

// Quality is how a direction is broken; the zero value is not at all.
type Quality struct {
	// Lost lets nothing arrive. A connection that is not given up meanwhile goes
	// on where it was afterwards, as TCP's do.
	Lost bool
	// Delay of all that is sent.
	Delay time.Duration
}

// Cluster is what is worked on and broken. One goroutine breaks it; Members and
// Dial are called from any. Each call returns when it is done.
type Cluster interface {
	Processes
	// Members are the names of those that belong to the cluster.
	Members() []string
	// Dial makes an administrator's client of the members named, all if none is.
	Dial(members ...string) (*sdk.Client, error)
	// Shape breaks the directions named and mends all others.
	Shape(ctx context.Context, links map[Pair]Quality) error
	// Replace takes a member out of the cluster and lets a new one join.
	Replace(ctx context.Context, member string) error
}

// Clocks is what a Cluster has whose members have clocks of their own.
type Clocks interface {
	// MoveClock sets a member's clock ahead of the others', or behind them. One
	// that is down has that clock once it was started.
	MoveClock(member string, by time.Duration) error
}

// Disks is what a Cluster has whose members have disks of their own.
type Disks interface {
	// HangDisk has a member's writes to its log wait, without an error, until it is
	// called again to let them go on.
	HangDisk(member string, hang bool) error
}

// Processes are the members' programs.
type Processes interface {
	// Kill ends one as kill -9 does, Stop in order.
	Kill(ctx context.Context, member string) error
	Stop(ctx context.Context, member string) error
	// Start starts one that was ended.
	Start(ctx context.Context, member string) error
	// Pause holds one, Resume lets it go on.
	Pause(ctx context.Context, member string) error
	Resume(ctx context.Context, member string) error
	// Ended is why one ended though nobody ended it; nil when none did.
	Ended() error
}
