package crash_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	wal "github.com/hashicorp/raft-wal"

	"github.com/musterhq/muster/internal/failpoint"
	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// clusterID of all members, and the resource that all writes are of.
const (
	clusterID = "crash"
	resource  = "things"
)

// memberVariable makes a process of the test's binary a member.
const memberVariable = "MUSTER_TEST_MEMBER"

// orderTimeout bounds what a member is told to do.
const orderTimeout = 10 * time.Second

// memberConfig says which member a process is.
type memberConfig struct {
	ID, Dir, Address string
	Bootstrap        bool
	// Segment is how many bytes a segment of the log holds; 0 is raft-wal's default.
	Segment int
	// Backup is set for one that only recovers from a lost majority.
	Backup string
}

// order is what a member is told, and answer what it says.
type order struct {
	Number int
	Do     string   // put, delete, fill, dump, status, arm, add, remove, transfer
	Keys   []string // to put or delete, in one transaction
	Value  string
	To     string // a member, or a point
	At     string // a member's address
}

type answer struct {
	Number  int
	Error   string
	Unknown bool              // the order may have been, or yet be, carried out
	Leader  string            // who leads, as this member knows
	Index   uint64            // of the last command that is applied
	State   string            // a checksum of all entries and their revisions
	Values  map[string]string // of all keys
}

func TestMain(m *testing.M) {
	if boot := os.Getenv(powerVariable); boot != "" {
		lose("/data", boot)
		return
	}
	text := os.Getenv(memberVariable)
	if text == "" {
		os.Exit(m.Run())
	}
	var config memberConfig
	err := json.Unmarshal([]byte(text), &config)
	if err == nil {
		err = failpoint.FromEnvironment()
	}
	if err == nil {
		err = config.run(os.Stdin, os.Stdout)
	}
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "member:", err)
		os.Exit(1)
	}
}

func (c memberConfig) replica() replica.Config {
	return replica.Config{
		ID: c.ID, ClusterID: clusterID, Dir: c.Dir, Bootstrap: c.Bootstrap, Store: state.New(),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		// Snapshots and cuts of the log come several times a second.
		Timing: replica.Timing{SnapshotInterval: 100 * time.Millisecond, SnapshotThreshold: 100, TrailingLogs: 50},
	}
}

// run is the member's process, until its input ends.
func (c memberConfig) run(in io.Reader, out io.Writer) error {
	config := c.replica()
	if c.Segment > 0 {
		wal.DefaultSegmentSize = c.Segment
	}
	if c.Backup != "" {
		_, err := replica.Recover(config, c.Backup)
		return err
	}
	var err error
	if config.Listener, err = net.Listen("tcp", c.Address); err != nil {
		return err
	}
	r, err := replica.Open(config)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		obey(r, in, out)
	}()
	return r.Run(ctx)
}

// obey carries out orders as they come, several at a time.
func obey(r *replica.Replica, in io.Reader, out io.Writer) {
	var mu sync.Mutex
	answers := json.NewEncoder(out)
	orders := json.NewDecoder(bufio.NewReader(in))
	for {
		var o order
		if orders.Decode(&o) != nil {
			return
		}
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), orderTimeout)
			defer cancel()
			a, err := carryOut(ctx, r, o)
			a.Number = o.Number
			if err != nil {
				a.Error = err.Error()
				a.Unknown = errors.Is(err, replica.ErrNoLeader) || errors.Is(err, replica.ErrUnknown)
			}
			mu.Lock()
			defer mu.Unlock()
			_ = answers.Encode(a)
		}()
	}
}

func carryOut(ctx context.Context, r *replica.Replica, o order) (a answer, err error) {
	switch o.Do {
	case "put":
		return a, apply(ctx, r, storev1.Action_ACTION_PUT, o.Keys, []byte(o.Value))
	case "delete":
		return a, apply(ctx, r, storev1.Action_ACTION_DELETE, o.Keys, nil)
	case "fill":
		value := make([]byte, 250<<10) // as much as shares a log entry
		_, _ = rand.Read(value)
		return a, apply(ctx, r, storev1.Action_ACTION_PUT, o.Keys, value)
	case "dump":
		return dump(ctx, r)
	case "status":
		a.Leader, _ = r.Leader()
		a.Index = r.Store().View().Index()
		return a, nil
	case "arm":
		return a, failpoint.Arm(o.To)
	case "add":
		return a, r.AddVoter(ctx, o.To, o.At)
	case "remove":
		return a, r.RemoveServer(ctx, o.To)
	case "transfer":
		a.Leader, err = r.TransferLeadership(ctx, o.To)
		return a, err
	}
	return a, fmt.Errorf("no order is %q", o.Do)
}

func apply(ctx context.Context, r *replica.Replica, action storev1.Action, keys []string, value []byte) error {
	tx := &storev1.Transaction{}
	for _, key := range keys {
		tx.Operations = append(tx.Operations, &storev1.Operation{
			Key: &storev1.Key{Resource: resource, Name: key}, Action: action, Value: value,
		})
	}
	_, err := r.Apply(ctx, tx)
	return err
}

// dump reads all there is, linearizably. Of values that are long the beginning is
// told.
func dump(ctx context.Context, r *replica.Replica) (a answer, err error) {
	view, err := r.Read(ctx)
	if err != nil {
		return a, err
	}
	a.Index, a.Values = view.Index(), map[string]string{}
	for entry := range view.List(resource, "") {
		a.Values[entry.Key.Name] = string(entry.Value()[:min(entry.Size(), 20)])
	}
	sum := sha256.New()
	if err := view.Image().Write(sum); err != nil {
		return a, err
	}
	a.State = hex.EncodeToString(sum.Sum(nil))
	return a, nil
}
