package crash_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// readyTimeout is how long a member may take to serve after it was started.
const readyTimeout = 30 * time.Second

// segmentSize has segments of the log be full, and be removed, all the time.
const segmentSize = 1 << 20

// pollPause lies between two looks at something that is waited for.
const pollPause = 10 * time.Millisecond

// cluster is members on this machine, each at an address of its own.
type cluster struct {
	t       testing.TB
	dir     string
	net     string // the first three bytes of the members' addresses
	members []*process
	count   int // of members that there ever were
	history *history
}

// newCluster makes a cluster of some members, which run and vote. Each is prepared
// before it is first started.
func newCluster(t testing.TB, members int, prepare ...func(*process)) *cluster {
	c := &cluster{t: t, dir: t.TempDir(), history: newHistory()}
	c.net = fmt.Sprintf("127.%d.%d.", 64+rand.IntN(64), rand.IntN(256))
	t.Cleanup(c.end)
	for range members {
		p := c.add()
		for _, f := range prepare {
			f(p)
		}
		p.start(t, "")
		if !p.config.Bootstrap {
			c.must(p.tell(order{Do: "status"})) // it listens
			c.must(c.members[0].tell(order{Do: "add", To: p.config.ID, At: p.config.Address}))
		}
		c.ready(p)
	}
	return c
}

// add makes a member, which is not started.
func (c *cluster) add() *process {
	c.count++
	id := "m" + strconv.Itoa(c.count)
	p := &process{log: filepath.Join(c.dir, id+".log"), config: memberConfig{
		ID: id, Dir: filepath.Join(c.dir, id), Address: fmt.Sprintf("%s%d:6444", c.net, c.count), Bootstrap: c.count == 1,
		Segment: segmentSize,
	}}
	c.members = append(c.members, p)
	return p
}

// forget ends a member and removes all of it.
func (c *cluster) forget(p *process) {
	p.kill()
	for i, m := range c.members {
		if m == p {
			c.members = append(c.members[:i], c.members[i+1:]...)
		}
	}
	if err := os.RemoveAll(p.config.Dir); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) end() {
	for _, p := range c.members {
		p.kill()
		if c.t.Failed() {
			c.t.Logf("%s said at last:\n%s", p.config.ID, p.said())
		}
	}
}

func (c *cluster) must(a answer, err error) answer {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

// eventually waits until something holds.
func (c *cluster) eventually(what string, holds func() bool) {
	c.t.Helper()
	for end := time.Now().Add(readyTimeout); !holds(); {
		if time.Now().After(end) {
			c.t.Fatalf("%s: not within %v", what, readyTimeout)
		}
		poll()
	}
}

// poll waits for another process, of which nobody else tells.
func poll() { <-time.After(pollPause) }

// ready waits until a member answers reads.
func (c *cluster) ready(p *process) {
	c.t.Helper()
	c.eventually(p.config.ID+" is ready", func() bool {
		select {
		case <-p.ended:
			c.t.Fatalf("%s ended: %v\n%s", p.config.ID, p.cmd.ProcessState, p.said())
		default:
		}
		_, err := p.tell(order{Do: "dump"})
		return err == nil
	})
}

// leader returns who leads, and a member that does not.
func (c *cluster) leader() (leader, follower *process) {
	c.t.Helper()
	c.eventually("there is a leader", func() bool {
		leader, follower = nil, nil
		a, err := c.members[rand.IntN(len(c.members))].tell(order{Do: "status"})
		if err != nil || a.Leader == "" {
			return false
		}
		for _, p := range c.members {
			own, err := p.tell(order{Do: "status"})
			switch {
			case err != nil || own.Leader != a.Leader:
				return false
			case p.config.ID == a.Leader:
				leader = p
			default:
				follower = p
			}
		}
		return leader != nil
	})
	return leader, follower
}

// snapshotted returns the index that a member's newest snapshot reaches.
func snapshotted(p *process) (newest uint64) {
	entries, _ := os.ReadDir(filepath.Join(p.config.Dir, "snapshots"))
	for _, e := range entries {
		if parts := strings.Split(e.Name(), "-"); len(parts) == 3 && !strings.HasSuffix(e.Name(), ".tmp") {
			index, _ := strconv.ParseUint(parts[1], 10, 64)
			newest = max(newest, index)
		}
	}
	return newest
}
