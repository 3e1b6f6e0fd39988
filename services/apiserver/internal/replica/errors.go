package replica

import "errors"

var (
	// ErrForeignData says that a directory holds the data of another cluster or
	// member.
	ErrForeignData = errors.New("data directory belongs to another")
	// ErrDamaged says that the log or a snapshot cannot be read as it was
	// written.
	ErrDamaged = errors.New("data is damaged")
	// ErrInUse says that another process has the data directory open.
	ErrInUse = errors.New("data directory is in use")
	// ErrNoLeader says that the context ended before a leader answered. What was
	// proposed may yet be applied.
	ErrNoLeader = errors.New("no leader answered")
	// ErrUnknown says that so much was applied since the first try that it can
	// no longer be known whether the transaction was.
	ErrUnknown = errors.New("outcome is unknown")
	// ErrDiskFull says that too few members have room on their disks for a write,
	// which was not, and will not be, applied.
	ErrDiskFull = errors.New("disk is full")
	// ErrInvalid says that a transaction is malformed or too large.
	ErrInvalid = errors.New("transaction is invalid")
	// ErrStopped says that the member was stopped.
	ErrStopped = errors.New("replica is stopped")
	// ErrRemoved says that the member was taken out of the cluster.
	ErrRemoved = errors.New("this server was removed from the cluster: to join again, move its data directory away and start with a new token (`muster token create --role server`)")
	// ErrSuperseded says that the cluster was recovered without the member, which
	// must not have a say in it any more.
	ErrSuperseded = errors.New("the cluster was recovered from the loss of its majority without this server, whose data counts no more: to join again, move its data directory away and start with a new token (`muster token create --role server`)")

	errNotLeader = errors.New("this member does not lead")
)
