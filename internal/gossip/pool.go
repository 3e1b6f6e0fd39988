package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// rejoinInterval is how often a member looks whether it knows a live one of
	// its seeds; after a long partition nobody else brings the halves together.
	rejoinInterval = 2 * time.Second
	// firstInterval is how often one who is alone looks.
	firstInterval = 200 * time.Millisecond
	leaveTimeout  = 500 * time.Millisecond
)

// Config is what a member needs.
type Config struct {
	Role Role
	Name string
	// Listen is the address to bind, host:port, UDP and TCP. Not used with Transport.
	Listen string
	// Advertise is the address that others reach this member at.
	Advertise netip.Addr
	// AgentAddress is told to the others (nodes only).
	AgentAddress string
	// Key encrypts; 16, 24 or 32 bytes.
	Key []byte
	// Seeds returns addresses of members to join, host:port; it is asked again
	// as long as none of them answers. It may block until its context ends.
	Seeds func(ctx context.Context) []string
	// Transport replaces the network, in tests.
	Transport memberlist.Transport
	Logger    *slog.Logger
}

// Pool is this process's membership.
type Pool struct {
	config Config
	list   *memberlist.Memberlist
	logger *slog.Logger
	// leaving is told to the others in the metadata, because memberlist's own
	// events do not tell a member that left from one that died.
	leaving atomic.Bool

	mu      sync.Mutex
	members map[string]Member // by memberlist name; the failed and the left stay
	changed chan struct{}     // closed and replaced on each change
}

// New binds the sockets. Run joins the others.
func New(config Config) (*Pool, error) {
	if config.Name == "" || (config.Role != Server && config.Role != Node) {
		return nil, fmt.Errorf("gossip: role %q, name %q: both are needed", config.Role, config.Name)
	}
	if err := checkKey(config.Key); err != nil {
		return nil, err
	}
	p := &Pool{
		config:  config,
		logger:  config.Logger.With("component", "gossip"),
		members: make(map[string]Member),
		changed: make(chan struct{}),
	}
	settings, err := p.settings()
	if err != nil {
		return nil, err
	}
	if p.list, err = memberlist.Create(settings); err != nil {
		return nil, fmt.Errorf("gossip on %s: %w", config.Listen, err)
	}
	return p, nil
}

func (p *Pool) settings() (*memberlist.Config, error) {
	if len(p.config.AgentAddress) > 255 {
		return nil, fmt.Errorf("gossip: agent address of %d bytes", len(p.config.AgentAddress))
	}
	c := memberlist.DefaultLANConfig()
	c.Name = string(p.config.Role) + "/" + p.config.Name
	// A dead member is known after one to two seconds. On a starved machine this
	// may err; whoever reads it probes before believing.
	c.ProbeInterval = 300 * time.Millisecond
	c.ProbeTimeout = 150 * time.Millisecond
	c.SuspicionMult = 2
	c.SuspicionMaxTimeoutMult = 3
	c.GossipInterval = 100 * time.Millisecond
	c.PushPullInterval = 15 * time.Second
	c.TCPTimeout = 2 * time.Second
	// A machine that comes back under another address takes its name again.
	c.DeadNodeReclaimTime = time.Second
	c.SecretKey = p.config.Key
	c.Delegate = delegate{p}
	c.Events = events{p}
	c.Logger = log.New(logWriter{p.logger, &p.leaving}, "", 0)
	if p.config.Transport != nil {
		c.Transport = p.config.Transport
	} else {
		host, port, err := net.SplitHostPort(p.config.Listen)
		if err != nil {
			return nil, fmt.Errorf("gossip address %q: %w", p.config.Listen, err)
		}
		c.BindAddr = host
		if c.BindPort, err = strconv.Atoi(port); err != nil {
			return nil, fmt.Errorf("gossip address %q: %w", p.config.Listen, err)
		}
		c.AdvertisePort = c.BindPort
	}
	if p.config.Advertise.IsValid() {
		c.AdvertiseAddr = p.config.Advertise.String()
	}
	return c, nil
}

// Run joins the pool and stays in it until ctx ends; then it says goodbye.
func (p *Pool) Run(ctx context.Context) error {
	for {
		p.rejoin(ctx)
		wait := rejoinInterval
		if p.list.NumMembers() < 2 {
			wait = firstInterval
		}
		select {
		case <-ctx.Done():
			return p.stop()
		case <-time.After(wait):
		}
	}
}

// stop says goodbye. Nobody left to hear it is no error: the others will then
// take the member for failed.
func (p *Pool) stop() error {
	p.leaving.Store(true)
	err := p.list.UpdateNode(leaveTimeout)
	if err == nil {
		err = p.list.Leave(leaveTimeout)
	}
	if err != nil {
		p.logger.Debug("left without an answer", "error", err)
	}
	if err := p.list.Shutdown(); err != nil {
		return fmt.Errorf("stop gossip: %w", err)
	}
	return nil
}

// rejoin contacts the seeds that are not known to be alive.
func (p *Pool) rejoin(ctx context.Context) {
	if p.config.Seeds == nil {
		return
	}
	// Not memberlist's own list: it hands out nodes that it goes on writing to.
	members, _ := p.Members()
	alive := make(map[string]bool)
	for _, member := range members {
		alive[member.Address] = alive[member.Address] || member.State == Alive
	}
	var missing []string
	for _, seed := range p.config.Seeds(ctx) {
		if !alive[seed] {
			missing = append(missing, seed)
		}
	}
	if len(missing) == 0 || ctx.Err() != nil {
		return
	}
	if _, err := p.list.Join(missing); err != nil {
		p.logger.Debug("seeds do not answer", "seeds", missing, "error", err)
	}
}

// Members returns all that are or were known, and a channel that is closed at
// the next change.
func (p *Pool) Members() ([]Member, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make([]Member, 0, len(p.members))
	for _, member := range p.members {
		out = append(out, member)
	}
	return sorted(out), p.changed
}

func (p *Pool) note(n *memberlist.Node, state State) {
	role, name, ok := strings.Cut(n.Name, "/")
	if !ok {
		return
	}
	member := Member{Role: Role(role), Name: name, AgentAddress: readMeta(n).Agent, Address: n.Address(), State: state}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.members[n.Name] == member {
		return
	}
	p.members[n.Name] = member
	close(p.changed)
	p.changed = make(chan struct{})
}

// events receives what memberlist notices.
type events struct{ pool *Pool }

func (e events) NotifyJoin(n *memberlist.Node)   { e.pool.note(n, Alive) }
func (e events) NotifyUpdate(n *memberlist.Node) { e.pool.note(n, Alive) }

func (e events) NotifyLeave(n *memberlist.Node) {
	state := Failed
	if readMeta(n).Leaving {
		state = Left
	}
	e.pool.note(n, state)
}

// delegate tells the others our metadata; nothing else is exchanged.
type delegate struct{ pool *Pool }

func (d delegate) NodeMeta(int) []byte {
	return meta{Agent: d.pool.config.AgentAddress, Leaving: d.pool.leaving.Load()}.encode()
}
func (delegate) NotifyMsg([]byte)                {}
func (delegate) GetBroadcasts(int, int) [][]byte { return nil }
func (delegate) LocalState(bool) []byte          { return nil }
func (delegate) MergeRemoteState([]byte, bool)   {}

// logWriter turns memberlist's lines into records of their level.
type logWriter struct {
	logger  *slog.Logger
	leaving *atomic.Bool
}

func (w logWriter) Write(line []byte) (int, error) {
	text := string(bytes.TrimSpace(line))
	level := slog.LevelDebug
	for prefix, l := range map[string]slog.Level{"[ERR] ": slog.LevelInfo, "[WARN] ": slog.LevelInfo, "[INFO] ": slog.LevelDebug, "[DEBUG] ": slog.LevelDebug} {
		if rest, ok := strings.CutPrefix(text, prefix); ok {
			text, level = rest, l
		}
	}
	if w.leaving.Load() {
		level = slog.LevelDebug // who leaves closes its sockets under its own messages
	}
	w.logger.Log(context.Background(), level, strings.TrimPrefix(text, "memberlist: "))
	return len(line), nil
}

// checkKey refuses what cannot encrypt; without a key all would go in clear.
func checkKey(key []byte) error {
	switch len(key) {
	case 16, 24, 32:
		return nil
	}
	return errors.New("gossip key: 16, 24 or 32 bytes are needed")
}
