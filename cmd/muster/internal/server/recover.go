package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/cmd/muster/internal/provision"
	"github.com/musterhq/muster/internal/failpoint"
	"github.com/musterhq/muster/internal/join"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/services/apiserver"
)

// ConfirmRecovery is the flag that says that the user knows what it costs.
const ConfirmRecovery = "yes-i-know-that-writes-may-be-lost"

// Recover makes the stopped server of a data directory the only member of its
// cluster, or says what that would mean if it is not confirmed.
func Recover(ctx context.Context, out io.Writer, dataDir string, confirmed bool) error {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	m, err := join.LoadMembership(dir)
	if err != nil {
		return fmt.Errorf("recover: no server's data is in %s: %w", dir, err)
	}
	stopped := apiserver.Stopped{Name: m.Name, ClusterID: m.ClusterID, DataDir: dir}
	remains, err := stopped.Inspect()
	if err != nil {
		return err
	}
	if err := refuseIfLed(ctx, dir, m, remains); err != nil {
		return err
	}
	tell(out, m.Name, remains)
	if !confirmed {
		return fmt.Errorf("nothing was changed; to go on, give --%s", ConfirmRecovery)
	}
	backup := filepath.Join(dir, "raft.before-recovery-"+time.Now().UTC().Format("20060102T150405.000"))
	remains, err = stopped.Recover(backup)
	if err != nil {
		return err
	}
	failpoint.Hit("server/recover/data")
	// Those that it knew are strangers now, and it must not ask them.
	m.Epoch, m.Entered, m.Bootstrap, m.APIAddresses, m.GossipAddresses = remains.Epoch, true, false, nil, nil
	if err := m.Save(dir); err != nil {
		return err
	}
	failpoint.Hit("server/recover/saved")
	_, err = fmt.Fprintf(out, `
Server %s is the only member now, in epoch %d of the cluster. What it held before is in
%s.
Start it as before, and let the others join anew: move the data directory of each
away, and start it with a token of %s (muster token create --role server).
`, m.Name, remains.Epoch, backup, m.Name)
	return err
}

// electionPatience is how long servers that answer may take to have a leader.
const electionPatience = 3 * time.Second

// tell says what the server holds and what recovering it means.
func tell(out io.Writer, name string, remains apiserver.Remains) {
	var others []string
	for _, m := range remains.Members {
		if m.ID != name {
			others = append(others, m.ID)
		}
	}
	slices.Sort(others)
	_, _ = fmt.Fprintf(out, `The log of server %s ends at entry %d of term %d.
The other members are %s.

Recovering makes %s the only member of its cluster. It is for when more than half of
the servers that vote are lost for good. Know this before:
 - Writes that were acknowledged, and that %s had not received, are lost. Of several
   servers that are left, take the one whose term, and then entry, is the highest;
   this command tells them as long as it is not confirmed.
 - Stop the others, and do not start them again with the data that they have: they
   are refused once they meet %s, and what they accept until then is lost.
 - The data is copied first, beside the old one.
`, name, remains.LastIndex, remains.LastTerm, strings.Join(others, ", "), name, name, name)
}

// refuseIfLed asks the other servers: where one leads, nothing is to be recovered,
// and a recovery would end a cluster that is well.
func refuseIfLed(ctx context.Context, dir string, m join.Membership, remains apiserver.Remains) error {
	pair, err := join.LoadPair(dir, provision.ServerPair)
	if err != nil {
		return fmt.Errorf("recover: %w", err)
	}
	for until := time.Now().Add(electionPatience); ; {
		answered := false
		for _, address := range othersAt(m, remains) {
			leader, err := leaderAt(ctx, pair, address)
			if err == nil && leader != "" && leader != m.Name {
				return fmt.Errorf("the cluster has a leader, %s, as the server at %s says: there is nothing to recover; start server %s, or have it join anew", leader, address, m.Name)
			}
			answered = answered || err == nil
		}
		// Others that live may be about to elect one.
		if !answered || time.Now().After(until) || !pause(ctx, askPause) {
			break
		}
	}
	if len(remains.Members) == 1 && remains.Members[0].ID == m.Name {
		return errors.New("the server is the only member of its cluster already: start it")
	}
	return nil
}

// othersAt are the gRPC addresses of the other servers, by the membership and by
// the log: either may know of some that the other does not.
func othersAt(m join.Membership, remains apiserver.Remains) []string {
	addresses := slices.Clone(m.APIAddresses)
	for _, member := range remains.Members {
		if host, _, err := net.SplitHostPort(member.Address); err == nil && member.ID != m.Name {
			addresses = append(addresses, provision.Address(host, provision.GRPCPort))
		}
	}
	slices.Sort(addresses)
	return slices.Compact(addresses)
}

// leaderAt returns who leads by what the server at an address knows.
func leaderAt(ctx context.Context, pair *pki.KeyPair, address string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := join.Connect(address, pair.PeerTLS(pki.IsServer, "h2"), nil)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	response, err := clusterv1.NewClusterServiceClient(conn).ListMembers(ctx, &clusterv1.ListMembersRequest{})
	if err != nil {
		return "", err
	}
	for _, member := range response.GetMembers() {
		if member.GetLeader() {
			return member.GetId(), nil
		}
	}
	return "", nil
}
