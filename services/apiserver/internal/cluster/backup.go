package cluster

import (
	"bufio"
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
	"github.com/musterhq/muster/services/apiserver/internal/snapshotfile"
)

const (
	// partSize is how much of a backup is sent at once, in bytes.
	partSize = 256 << 10
	// beginTimeout bounds finding out what a backup must hold.
	beginTimeout = 10 * time.Second
)

// ServerTables are what the state holds about the servers themselves and those
// who want to join them. It means nothing to a cluster that is made of a backup.
func ServerTables() []string { return []string{serversTable, tokensTable} }

// SaveSnapshot implements ClusterService. The view is immutable: writes go on
// while it is sent, at the pace of the caller.
func (s *Service) SaveSnapshot(_ *clusterv1.SaveSnapshotRequest, stream grpc.ServerStreamingServer[clusterv1.SaveSnapshotResponse]) error {
	ctx, cancel := context.WithTimeout(stream.Context(), beginTimeout)
	defer cancel()
	view, err := s.config.Replica.Read(ctx)
	if err != nil {
		return status.Errorf(codes.Unavailable, "save snapshot: %v", err)
	}
	image := view.Image()
	header := snapshotfile.Header{
		Cluster: s.config.ClusterID, Server: s.config.Name,
		Revision: image.Revision(), Index: image.Index(), Entries: image.Entries(), Time: time.Now().UTC(),
	}
	out := bufio.NewWriterSize(parts{stream}, partSize)
	if err := snapshotfile.Write(out, header, image.Write); err != nil {
		return status.Errorf(codes.Aborted, "save snapshot: %v", err)
	}
	if err := out.Flush(); err != nil {
		return status.Errorf(codes.Aborted, "save snapshot: %v", err)
	}
	s.logger.Info("state was backed up", "caller", callerName(stream.Context()), "revision", header.Revision, "entries", header.Entries)
	return nil
}

// parts sends what is written to it.
type parts struct {
	stream grpc.ServerStreamingServer[clusterv1.SaveSnapshotResponse]
}

// Write sends a part. A frame of the file may be larger than the buffer before.
func (p parts) Write(b []byte) (int, error) {
	for sent := 0; sent < len(b); {
		n := min(len(b)-sent, partSize)
		// gRPC has encoded the message when Send returns.
		if err := p.stream.Send(&clusterv1.SaveSnapshotResponse{Content: b[sent : sent+n]}); err != nil {
			return sent, err
		}
		sent += n
	}
	return len(b), nil
}
