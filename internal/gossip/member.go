// Package gossip is the one memberlist pool that servers and agents form: how
// they find each other, and the first to notice that one fell silent. What it
// says is a hint, never a verdict.
package gossip

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/hashicorp/memberlist"
)

// Role says what a member of the pool is.
type Role string

// The roles.
const (
	Server Role = "server"
	Node   Role = "node"
)

// State is what the pool holds of a member.
type State int

// The states.
const (
	Alive State = iota
	// Failed stopped answering.
	Failed
	// Left said goodbye.
	Left
)

// Member is a server or an agent.
type Member struct {
	Role Role
	Name string
	// AgentAddress is where a node's AgentService answers, host:port.
	AgentAddress string
	// Address is where it gossips, host:port.
	Address string
	State   State
}

// meta is what a member says of itself; memberlist allows 512 bytes.
type meta struct {
	Agent   string `json:"agent,omitempty"`
	Leaving bool   `json:"leaving,omitempty"`
}

func (m meta) encode() []byte {
	out, err := json.Marshal(m)
	if err != nil {
		panic("gossip: metadata cannot be encoded: " + err.Error())
	}
	return out
}

// readMeta returns nothing for metadata that cannot be read: a later version's
// member is still a member.
func readMeta(n *memberlist.Node) (m meta) {
	_ = json.Unmarshal(n.Meta, &m)
	return m
}

func compareMembers(a, b Member) int {
	return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(a.Name, b.Name))
}

func sorted(members []Member) []Member {
	slices.SortFunc(members, compareMembers)
	return members
}
