package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

const (
	// reserve is what is kept free on the disk of the log, in bytes: writes end
	// when less is left, and all else goes on. It is room for the log's next
	// segment, which is the largest thing that is made at once, for elections and
	// for what others write to the disk until the next look.
	reserve = 96 << 20
	// lookPause lies between two looks at the disk.
	lookPause = 500 * time.Millisecond
)

// room watches that writes do not fill the disk of the log. On a disk that is full
// Raft could not elect a leader, and nobody could read. So a leader takes no
// writes when too little is left on its disk, unless another voter has room, to
// which it gives way; or when no majority has room to store them.
type room struct {
	replica *Replica
	free    func() (uint64, error) // bytes that are left; nil in memory
	full    atomic.Bool            // too few are left here
	reason  atomic.Pointer[string] // why this leader takes no writes
}

func newRoom(r *Replica) *room {
	m := &room{replica: r}
	if !r.config.InMemory {
		m.free = func() (uint64, error) { return left(r.config.Dir) }
	}
	return m
}

// left is how many bytes may be written to a directory.
func left(dir string) (uint64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return 0, fmt.Errorf("look at the room on the disk of %s: %w", dir, err)
	}
	return stat.Bavail * uint64(stat.Bsize), nil
}

// CheckRoom says that less than the reserve is left on the disk of a directory: what
// else writes to the disk of the log ends there, as writes to the log do.
func CheckRoom(dir string) error {
	bytes, err := left(dir)
	if err == nil && bytes < reserve {
		err = fmt.Errorf("%w: %d MiB are left on the disk of %s, of which %d are kept for the log; free space there",
			ErrDiskFull, bytes>>20, dir, reserve>>20)
	}
	return err
}

// refusal is the error of a write that this leader takes no part in, if any.
func (m *room) refusal() error {
	if reason := m.reason.Load(); reason != nil {
		return fmt.Errorf("%w: %s", ErrDiskFull, *reason)
	}
	return nil
}

func (m *room) run(ctx context.Context) error {
	for m.free != nil && ctx.Err() == nil {
		changed := m.replica.leaders.change()
		m.look(ctx)
		again := time.NewTimer(lookPause)
		select {
		case <-again.C:
		case <-changed: // to this member, maybe
		case <-ctx.Done():
		}
		again.Stop()
	}
	return nil
}

// look finds out what is left here and, on a leader, elsewhere.
func (m *room) look(ctx context.Context) {
	log := m.replica.config.Logger
	bytes, err := m.free()
	if err != nil {
		log.Warn("room on the disk is not known", "error", err)
		return
	}
	full := bytes < reserve
	if m.full.Swap(full) != full {
		if full {
			log.Warn("too little room on the disk for writes", "path", m.replica.config.Dir, "bytes", bytes, "reserve", reserve)
		} else {
			log.Info("room on the disk again", "path", m.replica.config.Dir, "bytes", bytes)
		}
	}
	m.decide(ctx)
}

// decide takes writes or not, if this member leads.
func (m *room) decide(ctx context.Context) {
	r := m.replica
	if !r.leaders.ready() {
		m.reason.Store(nil)
		return
	}
	voters := r.voters()
	crowded, heir := survey(r.config.ID, voters, r.ask(ctx, voters))
	if heir != "" {
		err := r.giveWay(ctx, heir)
		if err == nil {
			return
		}
		r.config.Logger.Warn("give way to a member with room on its disk", "to", heir, "error", err)
	}
	if len(crowded) == 0 {
		m.reason.Store(nil)
		return
	}
	reason := fmt.Sprintf("less than %d MiB are left on the disk with the log of %s; free space there, and writes go on by themselves",
		reserve>>20, strings.Join(crowded, ", "))
	m.reason.Store(&reason)
}

// survey tells from what the voters say of themselves, nil for those that do not
// answer, whose full disks keep the leader from taking writes, and whom it had
// better give way to.
func survey(leader string, voters []Member, found map[string]*clusterv1.StatusResponse) (crowded []string, heir string) {
	var roomy []string
	for _, v := range voters {
		switch status := found[v.ID]; {
		case status == nil:
		case status.GetDiskFull():
			crowded = append(crowded, v.ID)
		default:
			roomy = append(roomy, v.ID)
		}
	}
	slices.Sort(crowded)
	switch enough := len(roomy) > len(voters)/2; {
	case !slices.Contains(crowded, leader):
		if enough {
			return nil, ""
		}
	case len(roomy) > 0 && enough:
		return crowded, roomy[0]
	}
	return crowded, ""
}

// refusedForRoom tells whether the leader, here or elsewhere, took no part in a
// write for want of room. No other error of a proposal has that code.
func refusedForRoom(err error) bool {
	return errors.Is(err, ErrDiskFull) || status.Code(err) == codes.FailedPrecondition
}

// diskFull is such an error, of whichever member.
func diskFull(err error) error {
	if errors.Is(err, ErrDiskFull) {
		return err
	}
	return fmt.Errorf("%w%s", ErrDiskFull, strings.TrimPrefix(status.Convert(err).Message(), ErrDiskFull.Error()))
}

// noRoom tells that a file system took no more.
func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// keepRoom has the first megabyte of a file taken from the disk, so that writes
// within it need no more: Raft ends when it cannot store its term. Where the file
// system cannot do that, or has no room, there is nothing else to do.
func keepRoom(path string) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	_ = unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20)
	_ = unix.Close(fd)
}
