package clock_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/chaos/clock"
)

// asProgram makes this program one that tells its time, once per line it reads.
const asProgram = "MUSTER_TEST_TELL_TIME"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		os.Exit(m.Run())
	}
	go func() { // a thread that is in clock_gettime most of the time
		for {
			_ = time.Now()
		}
	}()
	began := time.Now()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(time.Now().UnixNano(), int64(time.Since(began)))
	}
}

// program is a process whose clock is looked at.
type program struct {
	t      *testing.T
	pid    int
	ask    io.Writer
	answer *bufio.Reader
}

func started(t *testing.T) *program {
	if !clock.Supported {
		t.Skip("clocks of processes can be moved on amd64 only")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asProgram+"=true")
	ask, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	answer, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = ask.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &program{t: t, pid: cmd.Process.Pid, ask: ask, answer: bufio.NewReader(answer)}
}

// ahead says how far the program's clock is ahead of ours, and how long it runs by
// the clock that is not to be moved.
func (p *program) ahead() (ahead, runs time.Duration) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.ask); err != nil {
		p.t.Fatal(err)
	}
	line, err := p.answer.ReadString('\n')
	if err != nil {
		p.t.Fatal(err)
	}
	var numbers []int64
	for _, field := range strings.Fields(line) {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			p.t.Fatal(err)
		}
		numbers = append(numbers, n)
	}
	return time.Until(time.Unix(0, numbers[0])), time.Duration(numbers[1])
}

func TestOneProcessHasAnotherTime(t *testing.T) {
	p := started(t)
	for _, by := range []time.Duration{0, time.Hour, -3 * time.Hour, 0} {
		if err := clock.Move(p.pid, by); err != nil {
			t.Fatal(err)
		}
		ahead, runs := p.ahead()
		if ahead < by-time.Minute || ahead > by+time.Minute {
			t.Errorf("moved by %v, it is ahead by %v", by, ahead)
		}
		if runs < 0 || runs > time.Minute {
			t.Errorf("moved by %v, it takes itself to run for %v", by, runs)
		}
	}
}

func TestAStoppedProcessStaysSo(t *testing.T) {
	p := started(t)
	if err := clock.Move(p.pid, -time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(p.pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(p.pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("it did not stop: %v, %v", status, err)
	}
	if err := clock.Move(p.pid, time.Hour); err != nil {
		t.Error(err)
	}
	if got, err := syscall.Wait4(p.pid, &status, syscall.WCONTINUED|syscall.WNOHANG, nil); err != nil || got != 0 {
		t.Errorf("it goes on: %v, %v", status, err)
	}
	if err := syscall.Kill(p.pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if ahead, _ := p.ahead(); ahead < 59*time.Minute {
		t.Errorf("it is ahead by %v", ahead)
	}
}

func TestNoProcess(t *testing.T) {
	if err := clock.Move(1<<30, time.Hour); err == nil {
		t.Error("the clock of no process was moved")
	}
}
