package crash_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/musterhq/muster/internal/failpoint"
)

// dies waits for a member's end at a point, and notes that the point was hit.
func (c *cluster) dies(p *process, point string) {
	c.t.Helper()
	if err := p.dies(point); err != nil {
		c.t.Fatal(err)
	}
}

// arm has a member end at a point, which it may do before it answers.
func (c *cluster) arm(p *process, point string) {
	c.t.Helper()
	if _, err := p.tell(order{Do: "arm", To: point}); err != nil && !errors.Is(err, errEnded) {
		c.t.Fatal(err)
	}
}

// revive starts a member again, and looks at all there is.
func (c *cluster) revive(p *process, stop func()) {
	c.t.Helper()
	p.start(c.t, "")
	c.ready(p)
	stop()
	c.check()
}

// leaderDies has the member that leads come to a point by its work.
func leaderDies(c *cluster, point string) {
	leader, _ := c.leader()
	c.workTo(leader, point)
}

// followerDies has a member that follows come to a point by its work.
func followerDies(c *cluster, point string) {
	_, follower := c.leader()
	c.workTo(follower, point)
}

func (c *cluster) workTo(p *process, point string) {
	c.t.Helper()
	stop := c.load()
	c.arm(p, point)
	c.dies(p, point)
	c.revive(p, stop)
}

// driven has a member come to a point by what is done again and again.
func (c *cluster) driven(p *process, point string, do func()) {
	c.t.Helper()
	stop := c.load()
	c.arm(p, point)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-p.ended:
				return
			default:
				do()
			}
		}
	}()
	c.dies(p, point)
	<-done
	c.revive(p, stop)
}

// voterDies has a member end that is asked for its vote.
func voterDies(c *cluster, point string) {
	_, voter := c.leader()
	c.driven(voter, point, func() {
		for _, p := range c.members {
			if p != voter {
				_, _ = p.tell(order{Do: "transfer", To: p.config.ID})
			}
		}
	})
}

// giverDies has a leader end that gives way.
func giverDies(c *cluster, point string) {
	leader, follower := c.leader()
	c.driven(leader, point, func() { _, _ = leader.tell(order{Do: "transfer", To: follower.config.ID}) })
}

// fillerDies has a member end that is given more than a segment holds, or more
// than is synced of a snapshot at once.
func fillerDies(c *cluster, point string) {
	_, follower := c.leader()
	n := 0
	c.driven(follower, point, func() {
		n++
		_, _ = c.members[n%3].tell(order{Do: "fill", Keys: []string{"b" + strconv.Itoa(n%24)}})
	})
	for i := range 24 {
		c.eventually("the ballast is gone", func() bool {
			_, err := c.members[0].tell(order{Do: "delete", Keys: []string{"b" + strconv.Itoa(i)}})
			return err == nil
		})
	}
}

// starterDies has a member end that was killed and starts again.
func starterDies(c *cluster, point string) {
	_, p := c.leader()
	stop := c.load()
	c.eventually("there is a snapshot", func() bool { return snapshotted(p) > 0 })
	p.kill()
	p.start(c.t, point)
	c.dies(p, point)
	c.revive(p, stop)
}

// againDies has a member end that starts after it ended at its work.
func againDies(c *cluster, point string) {
	leader, p := c.leader()
	if rand.IntN(2) == 0 {
		p = leader
	}
	work := append(failpoint.Points("replica/log/"), failpoint.Points("replica/apply/")...)
	work = append(work, failpoint.Points("replica/cut/")...)
	work = append(work, failpoint.Points("replica/snapshot/")...)
	first := work[rand.IntN(len(work))].Name
	switch first {
	case "replica/snapshot/part-synced":
		first = "replica/snapshot/ended" // the state is too small for that
	case "replica/log/ahead":
		first = "replica/log/append" // who follows does not come there
	}
	stop := c.load()
	c.eventually("there is a snapshot", func() bool { return snapshotted(p) > 0 })
	c.arm(p, first)
	c.dies(p, first)
	p.start(c.t, point)
	c.dies(p, point)
	c.t.Logf("after %s:", first)
	c.revive(p, stop)
}

// sweeperDies has a member end that finds a snapshot that it did not finish.
func sweeperDies(c *cluster, point string) {
	_, p := c.leader()
	stop := c.load()
	c.arm(p, "replica/snapshot/block")
	c.dies(p, "replica/snapshot/block")
	p.start(c.t, point)
	c.dies(p, point)
	c.revive(p, stop)
}

// rotatorDies has a member end that finds a rotation that it did not finish.
func rotatorDies(c *cluster, point string) {
	_, p := c.leader()
	stop := c.load()
	c.arm(p, "replica/segment/sealed")
	for n := 0; ; n++ {
		if _, err := p.tell(order{Do: "fill", Keys: []string{"b0"}}); err != nil {
			break
		}
	}
	c.dies(p, "replica/segment/sealed")
	p.start(c.t, point)
	c.dies(p, point)
	c.revive(p, stop)
}

// receiverDies has a member end that gets a snapshot from its leader, as the log
// is cut further than it has come.
func receiverDies(c *cluster, point string) {
	_, p := c.leader()
	stop := c.load()
	c.eventually("there is a snapshot", func() bool { return snapshotted(p) > 0 })
	at := c.must(p.tell(order{Do: "status"})).Index
	p.kill()
	c.eventually("the others cut their logs", func() bool {
		for _, other := range c.members {
			if other != p && snapshotted(other) < at+400 {
				return false
			}
		}
		return true
	})
	// raft-wal hands out what was cut from the segment that it appends to for as
	// long as it is open.
	for _, other := range c.members {
		other.kill()
		if other != p {
			other.start(c.t, "")
		}
	}
	p.start(c.t, point)
	c.dies(p, point)
	c.revive(p, stop)
}

// disownerDies has a member end that led, appended what nobody else has, and finds
// another leader when it starts again.
func disownerDies(c *cluster, point string) {
	for range 20 {
		leader, _ := c.leader()
		stop := c.load()
		poll() // something is under way
		var others []*process
		for _, p := range c.members {
			if p != leader {
				others = append(others, p)
				_ = p.cmd.Process.Kill()
			}
		}
		<-time.After(100 * time.Millisecond) // the leader takes that long to notice
		leader.kill()
		for _, p := range others {
			<-p.ended
			p.start(c.t, "")
		}
		for _, p := range others {
			c.ready(p)
		}
		leader.start(c.t, point)
		c.eventually("the old leader serves or ends", func() bool {
			_, err := leader.tell(order{Do: "dump"})
			select {
			case <-leader.ended:
				return true
			default:
				return err == nil
			}
		})
		select {
		case <-leader.ended:
			c.dies(leader, point)
			c.revive(leader, stop)
			return
		default: // there was no conflict
			stop()
			c.check()
		}
	}
	c.t.Fatalf("no leader had entries of its own, so none came to %s", point)
}

// founderDies has a member end that forms a cluster.
func founderDies(c *cluster, point string) {
	alone := &cluster{t: c.t, dir: filepath.Join(c.dir, "founder"+strconv.Itoa(c.count)), net: c.net, history: newHistory()}
	if err := os.Mkdir(alone.dir, 0o700); err != nil {
		c.t.Fatal(err)
	}
	c.count++
	p := alone.add()
	p.config.Address = c.net + strconv.Itoa(100+c.count) + ":6444"
	p.start(c.t, point)
	alone.dies(p, point)
	p.start(c.t, "")
	alone.ready(p)
	if err := alone.history.write(p); err != nil {
		c.t.Fatal(err)
	}
	alone.check()
	alone.forget(p)
}

// adderDies has the leader end that takes in a member.
func adderDies(c *cluster, point string) { c.memberComes(point, "") }

// removerDies has the leader end that removes one.
func removerDies(c *cluster, point string) { c.memberComes("", point) }

func (c *cluster) memberComes(adding, removing string) {
	c.t.Helper()
	p := c.add()
	p.start(c.t, "")
	c.must(p.tell(order{Do: "status"})) // it listens
	c.change(adding, order{Do: "add", To: p.config.ID, At: p.config.Address})
	c.ready(p)
	c.check()
	c.change(removing, order{Do: "remove", To: p.config.ID})
	c.forget(p)
	c.check()
}

// change has the leader change the members, and end at a point if one is given.
// What was begun is then tried again.
func (c *cluster) change(point string, o order) {
	c.t.Helper()
	own := c.members
	c.members = c.members[:3] // who comes or goes is not asked
	defer func() { c.members = own }()
	leader, follower := c.leader()
	if point != "" {
		stop := c.load()
		c.arm(leader, point)
		told := make(chan struct{})
		go func() {
			defer close(told)
			_, _ = follower.tell(o)
		}()
		c.dies(leader, point)
		leader.start(c.t, "")
		<-told
		stop()
	}
	c.eventually(o.Do+" "+o.To, func() bool {
		_, err := follower.tell(o)
		return err == nil
	})
}

// recovererDies ends a command that recovers a member from the loss of the others.
func recovererDies(c *cluster, point string) {
	stop := c.load()
	<-time.After(100 * time.Millisecond) // a few writes
	stop()
	c.settled()
	p := c.members[0]
	for _, m := range c.members {
		m.kill()
	}
	whole := p.config
	p.config.Dir = filepath.Join(c.dir, "recovered"+strconv.Itoa(c.count))
	c.count++
	if out, err := exec.Command("cp", "-a", whole.Dir, p.config.Dir).CombinedOutput(); err != nil {
		c.t.Fatalf("%v: %s", err, out)
	}
	p.config.Backup = p.config.Dir + ".backup"
	p.start(c.t, point)
	c.dies(p, point)
	p.config.Backup += "2"
	p.start(c.t, "")
	if <-p.ended; !p.cmd.ProcessState.Success() {
		c.t.Fatalf("recovery, again, after %s: %v\n%s", point, p.cmd.ProcessState, p.said())
	}
	p.config.Backup = ""
	alone := &cluster{t: c.t, dir: c.dir, members: []*process{p}, history: c.history}
	p.start(c.t, "")
	alone.ready(p)
	if err := c.history.judge(c.must(p.tell(order{Do: "dump"})).Values); err != nil {
		c.t.Fatalf("after a recovery: %v", err)
	}
	p.kill()
	p.config = whole
	for _, m := range c.members {
		m.start(c.t, "")
	}
	c.check()
}
