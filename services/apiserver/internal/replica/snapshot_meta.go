package replica

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/raft"
)

// metaFormat is the format of the file that describes a snapshot. Before it
// there was hashicorp/raft's own, which has no checksum of itself.
const metaFormat = 2

// sealedMeta is the content of a snapshot's meta.json.
type sealedMeta struct {
	Format   int               `json:"format"`
	Checksum uint32            `json:"checksum"` // CRC-32C of Meta as it stands here
	Meta     raft.SnapshotMeta `json:"meta"`
}

// bareMeta is what hashicorp/raft's FileSnapshotStore writes.
type bareMeta struct {
	raft.SnapshotMeta
	CRC []byte // CRC-64 of the state
}

// sealMeta describes a snapshot.
func sealMeta(meta raft.SnapshotMeta) ([]byte, error) {
	text, err := json.Marshal(meta)
	if err != nil {
		return nil, fmt.Errorf("describe snapshot: %w", err)
	}
	text, err = json.Marshal(sealedMeta{Format: metaFormat, Checksum: crc32.Checksum(text, castagnoli), Meta: meta})
	if err != nil {
		return nil, fmt.Errorf("describe snapshot: %w", err)
	}
	return append(text, '\n'), nil
}

// readMeta reads the description of the snapshot in a directory; crc is nil
// unless it is of the old format.
func readMeta(dir string) (meta *raft.SnapshotMeta, crc []byte, err error) {
	path := filepath.Join(dir, metaFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, unreadable(path, err)
	}
	if meta, crc, err = parseMeta(raw); err == nil {
		err = plausible(meta, filepath.Base(dir))
	}
	if err != nil {
		return nil, nil, damaged(path, err)
	}
	return meta, crc, nil
}

func parseMeta(raw []byte) (*raft.SnapshotMeta, []byte, error) {
	var sealed sealedMeta
	if err := json.Unmarshal(raw, &sealed); err != nil {
		return nil, nil, err
	}
	if sealed.Format == 0 {
		var bare bareMeta
		err := json.Unmarshal(raw, &bare)
		if err == nil && len(bare.CRC) == 0 {
			err = errors.New("it has no checksum")
		}
		return &bare.SnapshotMeta, bare.CRC, err
	}
	// What is read must be written as it stands, to the last byte: so the
	// checksum covers the names and spaces too, which JSON reads in many ways.
	again, err := sealMeta(sealed.Meta)
	switch {
	case err != nil:
		return nil, nil, err
	case !bytes.Equal(again, raw):
		return nil, nil, errors.New("it does not match its checksum")
	}
	return &sealed.Meta, nil, nil
}

// plausible compares a description with the name of the directory that it is in,
// which says the same about what the snapshot covers.
func plausible(meta *raft.SnapshotMeta, name string) error {
	if meta.ID != name || !strings.HasPrefix(name, fmt.Sprintf("%d-%d-", meta.Term, meta.Index)) {
		return fmt.Errorf("it describes snapshot %s of term %d and entry %d", meta.ID, meta.Term, meta.Index)
	}
	if len(meta.Configuration.Servers) == 0 || meta.ConfigurationIndex > meta.Index {
		return errors.New("it names no members")
	}
	return nil
}
