package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// chunk is how many elements go into one message: an attribute of netlink holds
// at most 64 KiB.
const chunk = 400

func (t *Table) add(set *nftables.Set, e Elements) error {
	out := make([]nftables.SetElement, 0, len(e))
	for key, value := range e {
		element := nftables.SetElement{Key: []byte(key)}
		switch {
		case set.DataType.Name == nftables.TypeVerdict.Name:
			element.VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: value}
		case set.IsMap:
			element.Val = []byte(value)
		}
		out = append(out, element)
	}
	for part := range slices.Chunk(out, chunk) {
		if err := t.conn.SetAddElements(set, part); err != nil {
			return fmt.Errorf("add elements to %s: %w", set.Name, err)
		}
	}
	return nil
}

func (t *Table) remove(set *nftables.Set, keys []string) error {
	for part := range slices.Chunk(keys, chunk) {
		e := make([]nftables.SetElement, 0, len(part))
		for _, k := range part {
			e = append(e, nftables.SetElement{Key: []byte(k)})
		}
		if err := t.conn.SetDeleteElements(set, e); err != nil {
			return fmt.Errorf("delete elements from %s: %w", set.Name, err)
		}
	}
	return nil
}

// carryOver adds to the sets that the kernel fills what it remembers now, for as
// long as it would have. What a packet adds meanwhile is lost, and so may be some
// that the kernel does not list while it makes a set larger.
func (t *Table) carryOver(remembered map[string][]nftables.SetElement) error {
	for _, s := range t.sets {
		for part := range slices.Chunk(remembered[s.Name], chunk) {
			if err := t.conn.SetAddElements(s, part); err != nil {
				return fmt.Errorf("keep elements of %s: %w", s.Name, err)
			}
		}
	}
	return nil
}

// remembered reads the elements of the sets that the kernel fills.
func (t *Table) remembered() (map[string][]nftables.SetElement, error) {
	out := map[string][]nftables.SetElement{}
	for _, s := range t.sets {
		if !s.Dynamic {
			continue
		}
		elements, err := t.read(s)
		if err != nil {
			return nil, err
		}
		for _, e := range elements {
			if e.Expires > 0 {
				out[s.Name] = append(out[s.Name], nftables.SetElement{Key: e.Key, Val: e.Val, Timeout: e.Expires})
			}
		}
	}
	return out, nil
}

// Keys reads the keys that a set has now, also those that an earlier process
// wrote; none where there is no such set.
func (t *Table) Keys(set string) ([]string, error) {
	elements, err := t.read(t.byName[set])
	keys := make([]string, 0, len(elements))
	for _, e := range elements {
		keys = append(keys, string(e.Key))
	}
	return keys, err
}

// read lists a set's elements in the kernel. Those of a set that another version
// of us made, with other keys, are left out.
func (t *Table) read(s *nftables.Set) ([]nftables.SetElement, error) {
	if _, err := t.conn.GetSetByName(t.Table, s.Name); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	elements, err := t.conn.GetSetElements(s)
	if err != nil {
		return nil, fmt.Errorf("list elements of %s: %w", s.Name, err)
	}
	return slices.DeleteFunc(elements, func(e nftables.SetElement) bool {
		return len(e.Key) != int(s.KeyType.Bytes) || s.IsMap && len(e.Val) != int(s.DataType.Bytes)
	}), nil
}

// intact compares the table with what we wrote last: every element but those
// that the kernel adds, and the number of rules of every chain.
func (t *Table) intact() bool {
	for _, s := range t.sets {
		if s.Dynamic {
			continue
		}
		want := t.have.Elements[s.Name]
		got, err := t.conn.GetSetElements(s)
		if err != nil || len(got) != len(want) {
			return false
		}
		for _, e := range got {
			value, ok := want[string(e.Key)]
			// A verdict comes back with its code before the chain's name.
			if !ok || !strings.Contains(string(e.Val), value) {
				return false
			}
		}
	}
	for _, c := range t.have.Chains {
		got, err := t.conn.GetRules(t.Table, c.Chain)
		if err != nil || len(got) != len(c.Rules) {
			return false
		}
	}
	return true
}

// generation is the number of transactions that the namespace's ruleset has
// seen, by anybody.
func generation() (uint32, error) {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0)
	req.AddRawData([]byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0})
	messages, err := req.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return 0, fmt.Errorf("get nftables generation: %w", err)
	}
	for _, m := range messages {
		attrs, err := nl.ParseRouteAttr(m[4:])
		if err != nil {
			return 0, fmt.Errorf("get nftables generation: %w", err)
		}
		for _, attr := range attrs {
			if attr.Attr.Type == unix.NFTA_GEN_ID && len(attr.Value) == 4 {
				return binary.BigEndian.Uint32(attr.Value), nil
			}
		}
	}
	return 0, errors.New("get nftables generation: no answer")
}
