package crash_test

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/failpoint"
)

// every asks for all points, which takes minutes; else one of each way is taken.
var every = flag.Bool("every", false, "come to every point, and not only to one by each way")

// ways are how members are brought to points: "name", or "name:count" where the
// first hits are another way's.
var ways = []struct {
	name   string
	come   func(c *cluster, point string)
	points []string
}{
	{"leader at work", leaderDies, []string{
		"replica/write/queued", "replica/write/order", "replica/write/ordered:3", "replica/apply/begin:3", "replica/apply/published",
		"replica/log/ahead:3", "replica/log/append", "replica/log/write", "replica/log/half-written", "replica/log/written", "replica/log/synced",
		"replica/log/appended", "replica/log/marked",
		"replica/snapshot/taken", "replica/snapshot/renamed", "replica/cut/begin", "replica/cut/done",
	}},
	{"follower at work", followerDies, []string{
		"replica/write/forward", "replica/write/forwarded:5", "replica/apply/begin", "replica/apply/published:7",
		"replica/log/append:2", "replica/log/half-written:3", "replica/log/written", "replica/log/synced", "replica/log/appended", "replica/log/marked:5",
		"replica/snapshot/create", "replica/snapshot/created", "replica/snapshot/block", "replica/snapshot/ended", "replica/snapshot/synced",
		"replica/snapshot/verified", "durable/create", "durable/write", "durable/written", "durable/synced", "durable/renamed", "durable/replaced",
		"replica/snapshot/described", "replica/snapshot/renamed", "replica/snapshot/finished", "replica/snapshot/retire", "replica/snapshot/retired",
		"replica/segment/note", "replica/cut/begin", "replica/cut/done",
	}},
	{"voter", voterDies, []string{"replica/vote/store", "replica/vote/stored", "replica/vote/stored:2", "replica/vote/store:3"}},
	{"leader that gives way", giverDies, []string{"replica/members/hand-over"}},
	{"start", starterDies, []string{
		"replica/start/locked", "replica/start/identified", "replica/start/snapshot-verified", "replica/start/log-opened", "replica/start/log-read",
		"replica/restore/begin", "replica/restore/done", "replica/start/running",
	}},
	{"start after another end", againDies, []string{
		"replica/start/locked", "replica/start/identified", "replica/start/snapshot-verified", "replica/start/log-opened", "replica/start/log-read",
		"replica/restore/begin", "replica/restore/done", "replica/start/running", "replica/log/append", "replica/log/half-written", "replica/log/written",
		"replica/log/appended", "replica/apply/begin", "replica/apply/published", "replica/snapshot/ended", "replica/snapshot/retired", "replica/cut/begin",
	}},
	{"start after a snapshot that was not finished", sweeperDies, []string{"replica/start/sweep"}},
	{"snapshot from the leader", receiverDies, []string{
		"replica/snapshot/create", "replica/snapshot/created", "replica/snapshot/block", "replica/snapshot/ended", "replica/snapshot/verified",
		"replica/snapshot/described", "replica/snapshot/renamed", "replica/snapshot/finished",
		"replica/restore/begin:2", "replica/restore/done:2", "replica/empty/begin", "replica/empty/marked", "replica/empty/done",
		"replica/segment/made", "replica/segment/remove", "replica/segment/removed",
	}},
	{"leader with entries of its own", disownerDies, []string{"replica/conflict/begin", "replica/conflict/marked", "replica/conflict/done"}},
	{"new cluster", founderDies, []string{
		"durable/create", "durable/renamed", "durable/written:2", "replica/start/mark-made", "replica/start/identified", "replica/segment/note", "replica/segment/noted", "replica/segment/made",
		"replica/start/log-opened", "replica/start/log-read", "replica/start/begun", "replica/start/form", "replica/vote/store", "replica/log/half-written",
		"replica/start/formed", "replica/start/running",
	}},
	{"member that comes", adderDies, []string{"replica/members/add", "replica/members/added", "replica/members/promote", "replica/members/promoted"}},
	{"member that goes", removerDies, []string{"replica/members/remove", "replica/members/removed"}},
	{"full segment", fillerDies, []string{"replica/segment/sealed", "replica/segment/noted", "replica/snapshot/part-synced"}},
	{"start after a rotation that was not finished", rotatorDies, []string{"replica/start/rotate", "replica/start/rotated"}},
	{"recovery", recovererDies, []string{
		"replica/recover/copy", "replica/recover/copied", "durable/renamed", "replica/recover/epoch", "replica/recover/snapshot",
		"replica/snapshot/renamed", "replica/empty/marked", "replica/recover/alone",
	}},
}

// slow are the ways that are left to the run of every point.
var slow = map[string]bool{
	"full segment": true, "start after a rotation that was not finished": true, "member that goes": true,
	"leader with entries of its own": true, "snapshot from the leader": true,
}

// At every point at which the process of a member can end, it ends, while others
// write; and all that was acknowledged is there afterwards.
func TestCrashAtEveryPoint(t *testing.T) {
	c := newCluster(t, 3)
	hit := map[string]bool{}
	gone := 0
	for _, way := range ways {
		points := way.points
		if !*every {
			if points = points[len(points)/2 : len(points)/2+1]; slow[way.name] {
				continue
			}
		}
		ok := t.Run(way.name, func(t *testing.T) {
			c.t = t
			for _, point := range points {
				begun := time.Now()
				way.come(c, point)
				name, _, _ := strings.Cut(point, ":")
				hit[name] = true
				t.Logf("%s (%s): %v, %d writes", point, failpoint.What(name), time.Since(begun).Round(time.Millisecond), c.history.next.Load())
			}
			gone++
		})
		if c.t = t; !ok {
			return
		}
	}
	if gone < len(ways) {
		return // by -run, or not every point was asked for
	}
	for _, prefix := range []string{"replica/", "durable/"} {
		for _, p := range failpoint.Points(prefix) {
			if !hit[p.Name] {
				t.Errorf("nothing came to %s, where %s", p.Name, p.What)
			}
		}
	}
}
