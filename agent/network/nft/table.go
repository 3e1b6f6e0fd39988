package nft

import (
	"errors"
	"fmt"
	"log/slog"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
)

// Elements of a set: key to value. The value is empty in a set, the name of the
// chain to go to in a verdict map, and the datum's bytes in other maps.
type Elements map[string]string

// Chain is a chain with its rules.
type Chain struct {
	*nftables.Chain
	Rules [][]expr.Any
}

// Content is all that a table shall hold.
type Content struct {
	// Key identifies the rules of the chains: of two contents with the same key,
	// chains of the same name have the same rules.
	Key      string
	Chains   map[string]Chain
	Elements map[string]Elements // by set
}

// Table keeps one IPv4 table of the calling thread's network namespace as
// wanted. A change costs what differs; what others did to it is repaired. Its
// methods are called from one goroutine.
type Table struct {
	*nftables.Table
	sets   []*nftables.Set
	byName map[string]*nftables.Set
	conn   *nftables.Conn
	logger *slog.Logger

	// have is what the table holds since our last transaction, which ended the
	// ruleset's generation gen; nil when that is not known.
	have *Content
	gen  uint32
}

// NewTable checks that the kernel has nftables. Nothing is written yet.
func NewTable(name string, logger *slog.Logger, sets ...*nftables.Set) (*Table, error) {
	t := &Table{Table: &nftables.Table{Name: name, Family: nftables.TableFamilyIPv4}, sets: sets,
		byName: map[string]*nftables.Set{}, logger: logger}
	for i, s := range sets {
		s.Table = t.Table
		// The library numbers sets by a variable without a lock; numbers need to
		// be unique within a transaction only.
		s.ID = uint32(i + 1)
		t.byName[s.Name] = s
	}
	var err error
	// A first transaction for 10,000 services is a message of some megabytes.
	t.conn, err = nftables.New(nftables.WithSockOptions(func(c *netlink.Conn) error {
		return errors.Join(c.SetWriteBuffer(64<<20), c.SetReadBuffer(8<<20))
	}))
	if err != nil {
		return nil, fmt.Errorf("open nftables: %w", err)
	}
	if _, err := generation(); err != nil {
		return nil, fmt.Errorf("the kernel has no nftables: %w", err)
	}
	return t, nil
}

// Set returns one of the table's sets.
func (t *Table) Set(name string) *nftables.Set { return t.byName[name] }

// Apply makes the table hold want, in one transaction.
func (t *Table) Apply(want Content) error {
	gen, err := generation()
	if err != nil {
		return err
	}
	if t.have != nil && gen != t.gen && !t.intact() {
		t.logger.Warn("the table was changed by somebody else: writing it anew", "table", t.Name)
		t.have = nil
	}
	changed, err := t.change(want)
	if err != nil {
		t.have = nil
		return fmt.Errorf("write table %s: %w", t.Name, err)
	}
	// Nobody else's transaction came between if the generation grew by one.
	if changed {
		gen++
	}
	t.have, t.gen = &want, gen
	return nil
}

// change writes the difference where the present content is known.
func (t *Table) change(want Content) (changed bool, err error) {
	if t.have != nil && t.have.Key == want.Key {
		changed, err := t.update(want)
		if err == nil {
			return changed, nil
		}
		t.logger.Warn("changing the table went wrong: writing it anew", "table", t.Name, "error", err)
	}
	t.have = nil
	return true, t.replace(want)
}

// replace writes the whole table, whatever was there. Only what the kernel has
// put into sets (those that are Dynamic) lives on.
func (t *Table) replace(want Content) error {
	remembered, err := t.remembered()
	if err != nil {
		return err
	}
	t.conn.AddTable(t.Table) // so that the next line never fails
	t.conn.DelTable(t.Table)
	t.conn.AddTable(t.Table)
	for _, s := range t.sets {
		if err := t.conn.AddSet(s, nil); err != nil {
			return fmt.Errorf("add set %s: %w", s.Name, err)
		}
	}
	t.addChains(want.Chains, nil)
	for _, s := range t.sets {
		if err := t.add(s, want.Elements[s.Name]); err != nil {
			return err
		}
	}
	if err := t.carryOver(remembered); err != nil {
		return err
	}
	return t.conn.Flush()
}

func (t *Table) update(want Content) (changed bool, err error) {
	changed = t.addChains(want.Chains, t.have.Chains)
	for _, s := range t.sets {
		remove, add := diff(t.have.Elements[s.Name], want.Elements[s.Name])
		if len(remove) == 0 && len(add) == 0 {
			continue
		}
		changed = true
		if err := errors.Join(t.remove(s, remove), t.add(s, add)); err != nil {
			return false, err
		}
	}
	return t.removeChains(t.have.Chains, want.Chains) || changed, t.conn.Flush()
}

// removeChains removes what is not wanted any more, after the elements that
// went there.
func (t *Table) removeChains(have, want map[string]Chain) (removed bool) {
	for name, c := range have {
		if _, ok := want[name]; !ok {
			removed = true
			c.Table = t.Table
			t.conn.DelChain(c.Chain)
		}
	}
	return removed
}

// addChains adds the chains that are not there: all of them before any rule,
// because rules go from chain to chain.
func (t *Table) addChains(want, have map[string]Chain) (added bool) {
	for name, c := range want {
		if _, ok := have[name]; !ok {
			added = true
			c.Table = t.Table
			t.conn.AddChain(c.Chain)
		}
	}
	for name, c := range want {
		if _, ok := have[name]; ok {
			continue
		}
		for _, r := range c.Rules {
			t.conn.AddRule(&nftables.Rule{Table: t.Table, Chain: c.Chain, Exprs: r})
		}
	}
	return added
}

// diff gives the keys to remove, those whose value changes among them, and what
// to add.
func diff(have, want Elements) (remove []string, add Elements) {
	add = Elements{}
	for k, v := range have {
		if w, ok := want[k]; !ok || w != v {
			remove = append(remove, k)
		}
	}
	for k, v := range want {
		if h, ok := have[k]; !ok || h != v {
			add[k] = v
		}
	}
	return remove, add
}

// Delete removes the table; it is no error if there is none.
func (t *Table) Delete() error {
	t.have = nil
	t.conn.AddTable(t.Table)
	t.conn.DelTable(t.Table)
	if err := t.conn.Flush(); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("delete table %s: %w", t.Name, err)
	}
	return nil
}
