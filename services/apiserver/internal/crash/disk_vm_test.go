//go:build vm

package crash_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
)

// What qemu's blklogwrites writes, which is the format of Linux' dm-log-writes: a
// sector that describes the log, and for each request a sector that describes it
// and its data. All numbers are little endian.
const (
	logMagic   = 0x6a736677736872
	logSector  = 512
	logFlush   = 1 << 0 // what was written before is to be on the disk
	logFUA     = 1 << 1 // this is to be on the disk
	logDiscard = 1 << 2 // there is no data
)

// physical is how many sectors a disk writes at once, or not at all: of an ext4
// superblock, which fills two, none writes a half.
const physical = 8

// request is one of a disk's.
type request struct {
	sector, count, flags uint64
	data                 []byte
}

// lose makes of the disk what a loss of power leaves: all that was flushed, and of
// what was written since any sectors.
func (m *machine) lose() error {
	requests, err := readRequests(m.writes())
	if err != nil {
		return fmt.Errorf("read what was written to the disk: %w", err)
	}
	flushed := 0
	for i, r := range requests {
		if r.flags&logFlush != 0 {
			flushed = i
		}
	}
	if out, err := exec.Command("cp", "--sparse=always", m.base(), m.disk).CombinedOutput(); err != nil {
		return fmt.Errorf("take the disk of before: %w: %s", err, out)
	}
	disk, err := os.OpenFile(m.disk, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	lost, kept := 0, 0
	for i, r := range requests {
		gone := false
		for at := 0; at < len(r.data); at += logSector {
			if at == 0 || (r.sector+uint64(at)/logSector)%physical == 0 {
				gone = rand.IntN(2) == 0
			}
			if i > flushed && r.flags&logFUA == 0 && gone {
				lost++
				continue
			}
			kept++
			if _, err := disk.WriteAt(r.data[at:at+logSector], int64(r.sector)*logSector+int64(at)); err != nil {
				return errors.Join(err, disk.Close())
			}
		}
	}
	m.t.Logf("of %d sectors that were written, %d were not flushed and are lost", lost+kept, lost)
	return disk.Close()
}

func readRequests(path string) (requests []request, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	in := bufio.NewReaderSize(file, 1<<20)
	var sector [logSector]byte
	switch _, err := io.ReadFull(in, sector[:]); {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil // the power was lost before anything was written
	case err != nil:
		return nil, err
	}
	number := binary.LittleEndian.Uint64
	if number(sector[:]) != logMagic || binary.LittleEndian.Uint32(sector[24:]) != logSector {
		return nil, errors.New("it is no log of writes")
	}
	for range number(sector[16:]) {
		if _, err := io.ReadFull(in, sector[:]); err != nil {
			return nil, err
		}
		r := request{sector: number(sector[:]), count: number(sector[8:]), flags: number(sector[16:])}
		if r.flags&logDiscard == 0 {
			r.data = make([]byte, r.count*logSector)
			if _, err := io.ReadFull(in, r.data); err != nil {
				return nil, err
			}
		}
		requests = append(requests, r)
	}
	return requests, nil
}
