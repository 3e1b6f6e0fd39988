package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// faultKind is how a fault begins; it returns how it is mended.
type faultKind struct {
	weight int
	begin  func(*breaker, context.Context, fault) (mend func(context.Context) error, err error)
}

// The kinds of fault that not every cluster can have.
const (
	MoveClock = "move clock"
	HangDisk  = "hang disk"
)

var faultKinds = map[string]faultKind{
	"kill":         {4, (*breaker).kill},
	"stop":         {3, (*breaker).stop}, // a leader hands over
	"hand over":    {2, (*breaker).handOver},
	"pause":        {3, (*breaker).pause},
	"kill all":     {1, (*breaker).killAll},
	"cut off":      {3, (*breaker).cutOff},
	"partition":    {3, (*breaker).partition},
	"break a link": {2, (*breaker).breakLink},
	"lose one way": {3, (*breaker).oneWay},
	"slow":         {2, (*breaker).slow},
	MoveClock:      {2, (*breaker).moveClock},
	HangDisk:       {2, (*breaker).hangDisk},
	"replace":      {1, (*breaker).replace},
}

// target is the member that a fault meets; "" when none is free.
func (b *breaker) target(ctx context.Context, f fault) string {
	members := b.cluster.Members()
	if f.leader {
		if leader := b.leaders.leader(ctx); slices.Contains(members, leader) && !b.busy[leader] {
			return leader
		}
	}
	for i := range members {
		if m := members[(f.pick+i)%len(members)]; !b.busy[m] {
			return m
		}
	}
	return ""
}

// process is a fault of one member's program.
func (b *breaker) process(ctx context.Context, f fault, begin, end func(context.Context, string) error) (func(context.Context) error, error) {
	m := b.target(ctx, f)
	if m == "" {
		return nil, nil
	}
	b.log("%s %s for %v", f.kind, m, f.length.Round(time.Millisecond))
	b.busy[m] = true
	return func(ctx context.Context) error {
		delete(b.busy, m)
		return end(ctx, m)
	}, begin(ctx, m)
}

func (b *breaker) kill(ctx context.Context, f fault) (func(context.Context) error, error) {
	return b.process(ctx, f, b.cluster.Kill, b.cluster.Start)
}

func (b *breaker) stop(ctx context.Context, f fault) (func(context.Context) error, error) {
	return b.process(ctx, f, b.cluster.Stop, b.cluster.Start)
}

func (b *breaker) pause(ctx context.Context, f fault) (func(context.Context) error, error) {
	return b.process(ctx, f, b.cluster.Pause, b.cluster.Resume)
}

func (b *breaker) killAll(ctx context.Context, f fault) (func(context.Context) error, error) {
	var killed []string
	for _, m := range b.cluster.Members() {
		if b.busy[m] {
			continue
		}
		b.busy[m] = true
		killed = append(killed, m)
		if err := b.cluster.Kill(ctx, m); err != nil {
			return nil, err
		}
	}
	b.log("kill %v for %v", killed, f.length.Round(time.Millisecond))
	return func(ctx context.Context) error {
		var errs []error
		for _, m := range killed {
			delete(b.busy, m)
			errs = append(errs, b.cluster.Start(ctx, m))
		}
		return errors.Join(errs...)
	}, nil
}

// handOver asks for another leader. While something is broken it may be refused,
// and is then no fault.
func (b *breaker) handOver(ctx context.Context, f fault) (func(context.Context) error, error) {
	members := b.cluster.Members()
	to := members[f.pick%len(members)]
	err := b.leaders.handOver(ctx, to)
	if err != nil {
		b.log("hand over to %s: %v", to, err)
		return nil, nil
	}
	b.log("hand over to %s", to)
	return func(context.Context) error { return nil }, nil
}

// hangDisk needs a cluster that has disks; without them it is not planned.
func (b *breaker) hangDisk(ctx context.Context, f fault) (func(context.Context) error, error) {
	hang := func(hang bool) func(context.Context, string) error {
		return func(_ context.Context, m string) error { return b.cluster.(Disks).HangDisk(m, hang) }
	}
	return b.process(ctx, f, hang(true), hang(false))
}

// moveClock moves a clock by minutes or hours, more than objects that expire live.
func (b *breaker) moveClock(ctx context.Context, f fault) (func(context.Context) error, error) {
	m := b.target(ctx, f)
	if m == "" {
		return nil, nil
	}
	by := time.Duration(f.other-8) * 20 * time.Minute
	b.log("move the clock of %s by %v for %v", m, by, f.length.Round(time.Millisecond))
	clocks := b.cluster.(Clocks) // without them it is not planned
	return func(context.Context) error { return clocks.MoveClock(m, 0) }, clocks.MoveClock(m, by)
}

// replaceApart lies between two replacements: clients ask every ten seconds who the
// servers are, and one all of whose servers have gone meanwhile finds none.
const replaceApart = 12 * time.Second

func (b *breaker) replace(ctx context.Context, f fault) (func(context.Context) error, error) {
	m := b.target(ctx, f)
	if time.Since(b.replaced) < replaceApart {
		b.log("replace %s: not so soon after the last one", m)
		return nil, nil
	}
	defer func() { b.replaced = time.Now() }()
	b.log("replace %s", m)
	return func(context.Context) error { return nil }, b.cluster.Replace(ctx, m)
}

// shape is a fault of links.
func (b *breaker) shape(ctx context.Context, f fault, what string, links map[Pair]Quality) (func(context.Context) error, error) {
	number := b.number
	b.log("%s for %v", what, f.length.Round(time.Millisecond))
	b.links[number] = links
	return func(ctx context.Context) error {
		delete(b.links, number)
		return b.reshape(ctx)
	}, b.reshape(ctx)
}

func (b *breaker) reshape(ctx context.Context) error {
	all := map[Pair]Quality{}
	for _, links := range b.links {
		for pair, q := range links {
			was := all[pair]
			all[pair] = Quality{Lost: q.Lost || was.Lost, Delay: max(q.Delay, was.Delay)}
		}
	}
	return b.cluster.Shape(ctx, all)
}

// sever adds both directions between two sides.
func sever(links map[Pair]Quality, q Quality, one, other []string) {
	for _, x := range one {
		for _, y := range other {
			if x != y {
				links[Pair{x, y}], links[Pair{y, x}] = q, q
			}
		}
	}
}

func (b *breaker) cutOff(ctx context.Context, f fault) (func(context.Context) error, error) {
	m := b.anyone(ctx, f)
	links := map[Pair]Quality{}
	sever(links, Quality{Lost: true}, []string{m}, append(b.cluster.Members(), Outside))
	return b.shape(ctx, f, "cut off "+m, links)
}

// partition parts the members in two; clients reach all of them.
func (b *breaker) partition(ctx context.Context, f fault) (func(context.Context) error, error) {
	members := b.cluster.Members()
	var side, rest []string
	if m := b.anyone(ctx, f); f.other%2 == 0 || len(members) < 4 {
		side = []string{m}
	} else {
		next := members[(slices.Index(members, m)+1)%len(members)]
		side = []string{m, next}
	}
	for _, m := range members {
		if !slices.Contains(side, m) {
			rest = append(rest, m)
		}
	}
	links := map[Pair]Quality{}
	sever(links, Quality{Lost: true}, side, rest)
	return b.shape(ctx, f, fmt.Sprintf("part %v from %v", side, rest), links)
}

func (b *breaker) breakLink(ctx context.Context, f fault) (func(context.Context) error, error) {
	one, other := b.two(ctx, f)
	links := map[Pair]Quality{}
	sever(links, Quality{Lost: true}, []string{one}, []string{other})
	return b.shape(ctx, f, "break the link of "+one+" and "+other, links)
}

func (b *breaker) oneWay(ctx context.Context, f fault) (func(context.Context) error, error) {
	from, to := b.two(ctx, f)
	if f.length%2 == 0 {
		from, to = to, from
	}
	return b.shape(ctx, f, "lose what goes from "+from+" to "+to, map[Pair]Quality{{from, to}: {Lost: true}})
}

func (b *breaker) slow(ctx context.Context, f fault) (func(context.Context) error, error) {
	m := b.anyone(ctx, f)
	delay := time.Duration(20+20*f.other) * time.Millisecond
	links := map[Pair]Quality{}
	sever(links, Quality{Delay: delay}, []string{m}, append(b.cluster.Members(), Outside))
	return b.shape(ctx, f, fmt.Sprintf("slow %s by %v", m, delay), links)
}

// anyone is a member, busy or not.
func (b *breaker) anyone(ctx context.Context, f fault) string {
	members := b.cluster.Members()
	if f.leader {
		if leader := b.leaders.leader(ctx); slices.Contains(members, leader) {
			return leader
		}
	}
	return members[f.pick%len(members)]
}

func (b *breaker) two(ctx context.Context, f fault) (one, other string) {
	one = b.anyone(ctx, f)
	rest := slices.DeleteFunc(b.cluster.Members(), func(m string) bool { return m == one })
	return one, rest[f.other%len(rest)]
}
