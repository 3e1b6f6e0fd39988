package nftables

import (
	"encoding/binary"
	"errors"
	"fmt"
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

func (a *Applier) add(set *nftables.Set, e elements) error {
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
	return a.addChunked(set, out)
}

func (a *Applier) addChunked(set *nftables.Set, e []nftables.SetElement) error {
	for part := range slices.Chunk(e, chunk) {
		if err := a.conn.SetAddElements(set, part); err != nil {
			return fmt.Errorf("add elements to %s: %w", set.Name, err)
		}
	}
	return nil
}

func (a *Applier) remove(set *nftables.Set, keys []string) error {
	for part := range slices.Chunk(keys, chunk) {
		e := make([]nftables.SetElement, 0, len(part))
		for _, k := range part {
			e = append(e, nftables.SetElement{Key: []byte(k)})
		}
		if err := a.conn.SetDeleteElements(set, e); err != nil {
			return fmt.Errorf("delete elements from %s: %w", set.Name, err)
		}
	}
	return nil
}

// affinity reads the clients that an existing table remembers and that may stay
// with their endpoints. A table that is not there remembers nobody.
func (a *Applier) affinity(want state) []nftables.SetElement {
	present, err := a.conn.GetSetElements(a.layout.sets[setAffinity])
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(present, func(e nftables.SetElement) bool {
		if len(e.Key) != 16 || e.Expires <= 0 {
			return true
		}
		_, ok := want.sets[setTargets][string(e.Key[4:])+string(e.Val)]
		return !ok
	})
}

// intact compares the table with what we wrote last: every element, and the
// number of rules of every chain.
func (a *Applier) intact() bool {
	for name, want := range a.have.sets {
		got, err := a.conn.GetSetElements(a.layout.sets[name])
		if err != nil || len(got) != len(want) {
			return false
		}
		for _, e := range got {
			value, ok := want[string(e.Key)]
			if !ok || !strings.Contains(string(e.Val), value) {
				return false
			}
		}
	}
	expected := map[string]int{}
	for _, c := range a.layout.base(a.have.rules) {
		expected[c.chain.Name] = len(c.rules)
	}
	for name, c := range a.have.chains {
		expected[name] = len(c.rules(a.layout, a.have.rules.ClusterCIDR))
	}
	for name, n := range expected {
		got, err := a.conn.GetRules(a.layout.table, &nftables.Chain{Name: name, Table: a.layout.table})
		if err != nil || len(got) != n {
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
