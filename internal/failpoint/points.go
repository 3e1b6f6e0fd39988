package failpoint

import "strings"

// Point is where a process can be made to end.
type Point struct {
	// Name begins with the package that the point is in.
	Name string
	// What is the case there: what was done last, or is about to be.
	What string
}

// points are all there are. Those whose names begin alike are hit by one test.
var points = []Point{
	// Files that are replaced: identities, the description of a snapshot, membership.json.
	{"durable/create", "the new file is about to be made beside the old one"},
	{"durable/write", "the new file is made and empty"},
	{"durable/written", "the new file is written and not synced"},
	{"durable/synced", "the new file is synced and has its temporary name"},
	{"durable/renamed", "the new file has its name, which may not be on disk"},
	{"durable/replaced", "the new file and its name are on disk"},

	// A write, from the caller to the answer.
	{"replica/write/queued", "a transaction is about to be put into the queue of its member"},
	{"replica/write/forward", "transactions are about to be sent to the leader"},
	{"replica/write/forwarded", "the leader answered, and no caller was told"},
	{"replica/write/order", "the leader is about to append transactions"},
	{"replica/write/ordered", "transactions are applied at the leader, and nobody was told"},
	{"replica/apply/begin", "a committed command is about to be applied"},
	{"replica/apply/published", "a command is applied and readers see it, and nobody was told"},

	// The log.
	{"replica/log/ahead", "the leader sends entries to the others and is about to write them"},
	{"replica/log/append", "entries are about to be appended to the log"},
	{"replica/log/write", "entries are about to be written to a segment"},
	{"replica/log/half-written", "half of the bytes of the entries are written"},
	{"replica/log/written", "entries are written and not synced"},
	{"replica/log/synced", "entries are synced, and the log does not know"},
	{"replica/log/appended", "entries are in the log and the mark is behind them"},
	{"replica/log/marked", "entries are in the log and the mark is right"},
	{"replica/vote/store", "a term or a vote is about to be stored"},
	{"replica/vote/stored", "a term or a vote is stored"},

	// Segments of the log.
	{"replica/segment/sealed", "a segment is full and sealed, and the database does not know"},
	{"replica/segment/note", "the database is about to be told which segments there are"},
	{"replica/segment/noted", "the database names a segment whose file is not there yet"},
	{"replica/segment/made", "a segment's file is made and empty"},
	{"replica/segment/remove", "a segment that is not named any more is about to be removed"},
	{"replica/segment/removed", "a segment was removed"},

	// Entries that go: behind a snapshot, in conflict with the leader's, all of them.
	{"replica/cut/begin", "entries behind a snapshot are about to be cut from the log"},
	{"replica/cut/done", "entries behind a snapshot are cut from the log"},
	{"replica/conflict/begin", "entries that the leader does not have are about to be cut from the end"},
	{"replica/conflict/marked", "the mark is back, and the entries that the leader does not have are there"},
	{"replica/conflict/done", "entries that the leader does not have are cut, and its own not appended"},
	{"replica/empty/begin", "all entries are about to give way to a leader's snapshot"},
	{"replica/empty/marked", "the mark is back, and the entries that give way are there"},
	{"replica/empty/done", "all entries gave way to a leader's snapshot"},

	// Snapshots, a member's own and those that a leader sends.
	{"replica/snapshot/taken", "the state is taken, and nothing is written"},
	{"replica/snapshot/create", "a snapshot's directory is about to be made"},
	{"replica/snapshot/created", "a snapshot's directory and file are made"},
	{"replica/snapshot/block", "a part of a snapshot is about to be written"},
	{"replica/snapshot/part-synced", "a part of a snapshot is synced"},
	{"replica/snapshot/ended", "all of a snapshot is written, and not all of it synced"},
	{"replica/snapshot/synced", "a snapshot is synced, and not read back"},
	{"replica/snapshot/verified", "a snapshot was read back, and what describes it is not written"},
	{"replica/snapshot/described", "a snapshot is whole and has its temporary name"},
	{"replica/snapshot/renamed", "a snapshot has its name, which may not be on disk"},
	{"replica/snapshot/finished", "a snapshot is the newest one, and those too many are there"},
	{"replica/snapshot/retire", "an old snapshot is about to be removed"},
	{"replica/snapshot/retired", "an old snapshot has a temporary name, and is there"},
	{"replica/restore/begin", "a snapshot is about to replace the state"},
	{"replica/restore/done", "a snapshot replaced the state"},

	// A start.
	{"replica/start/locked", "the data directory is locked and nothing was read"},
	{"replica/start/mark-made", "a new data directory has a mark and no identity"},
	{"replica/start/identified", "the data directory has an identity"},
	{"replica/start/sweep", "a snapshot that was not finished is about to be removed"},
	{"replica/start/snapshot-verified", "the newest snapshot was read"},
	{"replica/start/rotate", "a rotation that a crash interrupted is about to be finished"},
	{"replica/start/rotated", "a rotation that a crash interrupted is finished"},
	{"replica/start/log-opened", "the log is open, and was not read"},
	{"replica/start/log-read", "the log was read"},
	{"replica/start/begun", "the mark of a new log is set"},
	{"replica/start/form", "a new cluster is about to be formed"},
	{"replica/start/formed", "a new cluster is formed on disk"},
	{"replica/start/running", "Raft runs"},

	// Members.
	{"replica/members/add", "the leader is about to add a member"},
	{"replica/members/added", "the leader added a member, and nobody was told"},
	{"replica/members/promote", "the leader is about to give a member its vote"},
	{"replica/members/promoted", "the leader gave a member its vote"},
	{"replica/members/remove", "the leader is about to remove a member"},
	{"replica/members/removed", "the leader removed a member, and nobody was told"},
	{"replica/members/hand-over", "the leader is about to give way to another member"},

	// The recovery from a lost majority.
	{"replica/recover/copy", "the data is about to be copied"},
	{"replica/recover/copied", "the data is copied"},
	{"replica/recover/epoch", "the data is of the next epoch, and the members are those of before"},
	{"replica/recover/snapshot", "the recovered state is about to be written"},
	{"replica/recover/alone", "the member is the only one"},

	// Backups.
	{"backup/save/begin", "the file of a backup is made beside the old one"},
	{"backup/save/written", "a backup is written and not synced"},
	{"backup/save/synced", "a backup is synced and has its temporary name"},
	{"backup/save/renamed", "a backup has its name, which may not be on disk"},
	{"backup/restore/read", "a backup was read, and no log was made of it"},
	{"backup/restore/made", "a log was made of a backup"},

	// A server's directory.
	{"server/init/begin", "a new server's directory is made"},
	{"server/init/admin", "the administrator's kubeconfig is there"},
	{"server/restore/begin", "the directory of a restored server is made under a temporary name"},
	{"server/restore/log", "it has its log"},
	{"server/restore/identity", "it has its identity, which does not say that there is a log"},
	{"server/restore/whole", "it is whole and has its temporary name"},
	{"server/restore/renamed", "it has its name, which may not be on disk"},
	{"server/recover/data", "the log is recovered, and the identity knows nothing of it"},
	{"server/recover/saved", "the identity is of the new epoch"},
	{"server/started", "the log is there, and the identity does not say so"},
	{"server/entered", "the server is a member, and the identity does not say so"},
}

// Points are those whose names begin with a prefix, in the order of the table.
func Points(prefix string) []Point {
	var found []Point
	for _, p := range points {
		if strings.HasPrefix(p.Name, prefix) {
			found = append(found, p)
		}
	}
	return found
}

// What is the case at a point, or nothing if there is none of that name.
func What(name string) string {
	for _, p := range points {
		if p.Name == name {
			return p.What
		}
	}
	return ""
}
