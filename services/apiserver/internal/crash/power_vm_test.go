//go:build vm

package crash_test

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// losses is how often the power is lost on each file system.
var losses = flag.Int("losses", 5, "how often the power is lost on each file system")

// bootTimeout bounds the time from a machine's start until it writes. It is
// emulated, and the emulator may have little of a processor.
const bootTimeout = 4 * time.Minute

// fileSystems are the options with which ext4 is mounted. (Without a journal, Linux
// 6.1 has the disk flush nothing for a sync that finds only data to write, and
// raft-wal's database, like etcd's, is lost with a page or two. On ext2 a check of
// the disk may hurt what was synced: it mends a file that was removed by writing to
// blocks that have another owner.)
var fileSystems = map[string]string{"ordered": "noatime,commit=600", "writeback": "noatime,commit=600,data=writeback"}

// A machine that runs a whole cluster loses its power while it is written to, or
// while it starts again. What its kernel had not put on the disk is gone then:
// nothing is there but what was synced. With data=writeback, syncing one file brings
// names and sizes of the others to the disk, but not what they hold. The disk has a
// cache of its own, and loses of that what it was not told to flush, in part and in
// any order.
func TestPowerLoss(t *testing.T) {
	for name, options := range fileSystems {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, options)
			acknowledged := map[int64]bool{} // by the last start that wrote
			writer, total := 0, 0
			for boot := 1; boot <= *losses+1; boot++ {
				last := boot == *losses+1
				// Every third time it is lost while the cluster starts.
				seen, err := m.boot(boot, boot%3 == 0 && !last, last)
				if err != nil {
					t.Fatalf("start %d: %v\n%s", boot, err, m.tail())
				}
				if !seen.listed {
					t.Logf("start %d: the power was lost before it served", boot)
					continue
				}
				if err := seen.judge(acknowledged, writer); err != nil {
					t.Fatalf("start %d: %v", boot, err)
				}
				total += len(acknowledged)
				t.Logf("start %d: of start %d are %d writes there, and %d were acknowledged", boot, writer, len(seen.whole), len(acknowledged))
				acknowledged, writer = seen.acknowledged, boot
			}
			if total < 20**losses {
				t.Errorf("only %d writes were acknowledged", total)
			}
		})
	}
}

// sighting is what a machine said until it lost its power.
type sighting struct {
	listed              bool
	whole, acknowledged map[int64]bool
	half                []int64
}

// judge compares what is there with what the writer's start acknowledged.
func (s *sighting) judge(acknowledged map[int64]bool, writer int) error {
	if len(s.half) > 0 {
		return fmt.Errorf("writes are half there: %v", s.half)
	}
	for n := range acknowledged {
		if !s.whole[n] {
			return fmt.Errorf("write %d was acknowledged and is lost, with %d more at most", n, len(acknowledged)-len(s.whole))
		}
	}
	for n := range s.whole {
		if n/writesPerStart != int64(writer) {
			return fmt.Errorf("write %d is there, which was removed", n)
		}
	}
	return nil
}

// machine is an emulated one with a disk.
type machine struct {
	t              *testing.T
	kernel, initrd string
	disk, said     string
}

func newMachine(t *testing.T, options string) *machine {
	t.Helper()
	out, err := exec.Command("../../../../scripts/vm-kernel").Output()
	if err != nil {
		t.Fatalf("prepare a kernel: %v", err)
	}
	vm, dir := strings.TrimSpace(string(out)), t.TempDir()
	m := &machine{t: t, kernel: filepath.Join(vm, "vmlinuz"), disk: filepath.Join(dir, "disk"), said: filepath.Join(dir, "said")}
	m.initrd = filepath.Join(dir, "initrd")
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	const pack = `set -e; mkdir -p "$1/root/work"; cp "$2" "$1/root/work/program"; printf '%s' "$3" >"$1/root/work/run"
(cd "$1/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$1/program.gz"; cat "$4/base.cpio.gz" "$1/program.gz" >"$1/initrd"
rm -r "$1/root" "$1/program.gz"; truncate -s 2G "$1/disk"; mke2fs -q -F -t ext4 "$1/disk"`
	// Nothing is written back by itself.
	run := `for module in virtio_pci virtio_blk crc32c_generic ext4; do modprobe $module; done
echo 0 >/proc/sys/vm/dirty_writeback_centisecs; echo 100000 >/proc/sys/vm/dirty_expire_centisecs
mkdir -p /data; mount -t ext4 -o ` + options + ` /dev/vda /data || echo "` + saidFault + ` no disk"
` + powerVariable + `=$(sed 's/.*muster.boot=\([0-9]*\).*/\1/' /proc/cmdline) exec ./program
`
	if out, err := exec.Command("bash", "-c", pack, "pack", dir, program, run, vm).CombinedOutput(); err != nil {
		t.Fatalf("make a machine: %v: %s", err, out)
	}
	return m
}

// boot starts the machine and cuts its power: while it writes or, if early, soon
// after it began to start the cluster; or, at last, once it has listed what is
// there.
func (m *machine) boot(number int, early, last bool) (*sighting, error) {
	if number > 1 {
		if err := m.lose(); err != nil {
			return nil, err
		}
	}
	if out, err := exec.Command("cp", "--sparse=always", m.disk, m.base()).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("keep the disk: %w: %s", err, out)
	}
	if err := os.WriteFile(m.writes(), nil, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("qemu-system-x86_64", "-accel", "tcg,thread=multi", "-smp", "2", "-m", "1024",
		"-kernel", m.kernel, "-initrd", m.initrd, "-append", "console=ttyS0 panic=-1 quiet loglevel=3 muster.boot="+strconv.Itoa(number),
		"-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
		"-blockdev", "node-name=file,driver=file,filename="+m.disk, "-blockdev", "node-name=writes,driver=file,filename="+m.writes(),
		"-blockdev", "node-name=disk,driver=blklogwrites,file=file,log=writes,log-super-update-interval=1", "-device", "virtio-blk-pci,drive=disk")
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = cmd.Process.Kill() // it may be gone already
		_ = cmd.Wait()         // it is killed
	}()
	cut := time.AfterFunc(bootTimeout, func() { _ = cmd.Process.Kill() })
	defer cut.Stop()
	return m.watch(bufio.NewReader(out), func(after time.Duration) { cut.Reset(after) }, early, last)
}

// watch reads what the machine says until its power is cut.
func (m *machine) watch(said *bufio.Reader, cut func(after time.Duration), early, last bool) (*sighting, error) {
	seen := &sighting{whole: map[int64]bool{}, acknowledged: map[int64]bool{}}
	log, err := os.OpenFile(m.said, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	begun := false
	for {
		text, err := said.ReadString('\n')
		if err != nil {
			break // with the power went what a line would have said
		}
		line := strings.TrimSpace(text)
		if !strings.HasPrefix(line, saidWrote) && !strings.HasPrefix(line, saidWhole) {
			_, _ = log.WriteString(line + "\n")
		}
		word, rest, _ := strings.Cut(line, " ")
		n, number := strconv.ParseInt(rest, 10, 64)
		switch {
		case line == "=== vm begins" && early:
			cut(rand.N(4 * time.Second))
		case word == saidWhole && number == nil:
			seen.whole[n] = true
		case word == saidHalf && number == nil:
			seen.half = append(seen.half, n)
		case word == saidAll:
			if seen.listed = true; last {
				cut(0)
			} else {
				cut(bootTimeout)
			}
		case word == saidBegun && !last:
			begun = true
			cut(time.Second/2 + rand.N(6*time.Second))
		case word == saidWrote && number == nil:
			seen.acknowledged[n] = true
		case word == saidFault:
			return nil, errors.New(rest)
		}
	}
	if seen.listed && !last && !begun || !seen.listed && !early {
		return nil, errors.New("it did not come to write")
	}
	return seen, nil
}

// base is the disk as it was when the machine was last started, and writes what it
// has written to it since.
func (m *machine) base() string   { return m.disk + ".base" }
func (m *machine) writes() string { return m.disk + ".writes" }

// tail is what the machine said of late.
func (m *machine) tail() string {
	text, _ := os.ReadFile(m.said)
	return string(text[max(0, len(text)-6000):])
}
