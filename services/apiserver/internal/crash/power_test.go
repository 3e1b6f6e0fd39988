package crash_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	wal "github.com/hashicorp/raft-wal"

	storev1 "github.com/musterhq/muster/proto/muster/store/v1"
	"github.com/musterhq/muster/services/apiserver/internal/replica"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// powerVariable makes a process of the test's binary a cluster on a machine that
// is going to lose its power: its value is how often the machine was started.
const powerVariable = "MUSTER_TEST_POWER"

// What that process says on the machine's serial line, a line each. What is
// acknowledged is said after it was: who reads it knows that it must be there.
const (
	saidWhole = "WHOLE" // this write is there
	saidHalf  = "HALF"  // a part of this write is there
	saidAll   = "LISTED"
	saidBegun = "BEGUN" // what was listed is removed, and writes begin
	saidWrote = "ACK"   // this write was acknowledged
	saidFault = "FAULT"
)

// writesPerStart keeps the numbers of the writes of one start apart from those of
// the next.
const writesPerStart = 1_000_000

// powered is three members on one machine.
type powered struct {
	mu       sync.Mutex
	replicas []*replica.Replica
}

// say writes a line whole.
func (p *powered) say(args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintln(os.Stdout, args...) // in one write
}

// lose runs the cluster until the power is lost.
func lose(dir, boot string) {
	wal.DefaultSegmentSize = 32 << 10 // of the few writes that an emulated machine makes, some fill one
	p := &powered{}
	n, err := strconv.Atoi(boot)
	if err == nil {
		err = p.run(dir, n)
	}
	p.say(saidFault, err)
}

func (p *powered) run(dir string, boot int) error {
	failed := make(chan error, 4)
	for i := range 3 {
		config := memberConfig{ID: "m" + strconv.Itoa(i+1), Dir: filepath.Join(dir, "m"+strconv.Itoa(i+1)), Bootstrap: i == 0}.replica()
		var err error
		if config.Listener, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(7001+i)); err != nil {
			return err
		}
		r, err := replica.Open(config)
		if err != nil {
			return err
		}
		p.replicas = append(p.replicas, r)
		go func() { failed <- errors.Join(errors.New("a member ended"), r.Run(context.Background())) }()
	}
	go func() { failed <- p.work(boot) }()
	return <-failed
}

func (p *powered) work(boot int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	for i, r := range p.replicas[1:] {
		if err := p.replicas[0].AddVoter(ctx, "m"+strconv.Itoa(i+2), "127.0.0.1:"+strconv.Itoa(7002+i)); err != nil {
			return err
		}
		if err := r.WaitReady(ctx); err != nil {
			return err
		}
	}
	keys, err := p.list(ctx)
	if err != nil {
		return err
	}
	for len(keys) > 0 {
		some := keys[:min(len(keys), 900)]
		if err := apply(ctx, p.replicas[1], storev1.Action_ACTION_DELETE, some, nil); err != nil {
			return err
		}
		keys = keys[len(some):]
	}
	p.say(saidBegun)
	return p.write(boot)
}

// list says what is there, and checks that all members hold the same.
func (p *powered) list(ctx context.Context) (keys []string, err error) {
	sums := map[uint64][sha256.Size]byte{}
	var view state.View
	for _, r := range p.replicas {
		if view, err = r.Read(ctx); err != nil {
			return nil, err
		}
		sum := sha256.New()
		if err := view.Image().Write(sum); err != nil {
			return nil, err
		}
		now := [sha256.Size]byte(sum.Sum(nil))
		if other, ok := sums[view.Index()]; ok && other != now {
			return nil, fmt.Errorf("members hold different states at entry %d", view.Index())
		}
		sums[view.Index()] = now
	}
	found := map[int64]int{}
	for entry := range view.List(resource, "") {
		var part int
		var n int64
		if _, err := fmt.Sscanf(entry.Key.Name, "%d.%d", &part, &n); err != nil {
			return nil, err
		}
		found[n]++
		keys = append(keys, entry.Key.Name)
	}
	for n, parts := range found {
		if parts == keysPerWrite {
			p.say(saidWhole, n)
		} else {
			p.say(saidHalf, n)
		}
	}
	p.say(saidAll)
	return keys, nil
}

// write writes at all members, and says what was acknowledged.
func (p *powered) write(boot int) error {
	numbers := make(chan int64)
	failed := make(chan error)
	for i := range 12 {
		go func() {
			for n := range numbers {
				if err := apply(context.Background(), p.replicas[i%3], storev1.Action_ACTION_PUT, keysOf(n), []byte(strconv.FormatInt(n, 10))); err != nil {
					failed <- err
					return
				}
				p.say(saidWrote, n)
			}
		}()
	}
	for n := int64(boot) * writesPerStart; ; n++ {
		select {
		case numbers <- n:
		case err := <-failed:
			return err
		}
	}
}
