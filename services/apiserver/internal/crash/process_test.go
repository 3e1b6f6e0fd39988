package crash_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/musterhq/muster/internal/failpoint"
)

// deathTimeout is how long a process may take to reach the point at which it is to
// end.
const deathTimeout = 40 * time.Second

var errEnded = errors.New("the member's process ended")

// process is a member's, which may be started again and again.
type process struct {
	config memberConfig
	log    string // of all its starts

	mu      sync.Mutex
	cmd     *exec.Cmd
	in      io.WriteCloser
	number  int
	pending map[int]chan answer
	ended   chan struct{} // closed when the process has ended
	began   int64         // where the log of this start begins
}

// start starts it, with a point armed if one is named.
func (p *process) start(t testing.TB, armed string) {
	t.Helper()
	text, err := json.Marshal(p.config)
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	began, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), memberVariable+"="+string(text), failpoint.Variable+"="+armed)
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cmd, p.in, p.pending, p.ended, p.began = cmd, in, map[int]chan answer{}, make(chan struct{}), began
	go p.listen(out, cmd, p.pending, p.ended)
}

// listen hands out answers until the process has ended.
func (p *process) listen(out io.Reader, cmd *exec.Cmd, pending map[int]chan answer, ended chan struct{}) {
	answers := json.NewDecoder(out)
	for {
		var a answer
		if answers.Decode(&a) != nil {
			break
		}
		p.mu.Lock()
		to := pending[a.Number]
		delete(pending, a.Number)
		p.mu.Unlock()
		to <- a
	}
	_ = cmd.Wait() // how it ended is looked at by those who wait for it
	close(ended)
}

// tell has a member do something. An error that is errEnded leaves open whether it
// did.
func (p *process) tell(o order) (answer, error) {
	p.mu.Lock()
	if p.in == nil {
		p.mu.Unlock()
		return answer{Unknown: true}, errEnded
	}
	p.number++
	o.Number = p.number
	to := make(chan answer, 1)
	p.pending[o.Number] = to
	ended := p.ended
	text, err := json.Marshal(o)
	if err == nil {
		_, err = p.in.Write(append(text, '\n'))
	}
	p.mu.Unlock()
	if err != nil {
		return answer{Unknown: true}, errEnded
	}
	select {
	case a := <-to:
		if a.Error != "" {
			return a, errors.New(p.config.ID + ": " + a.Error)
		}
		return a, nil
	case <-ended:
		return answer{Unknown: true}, errEnded
	}
}

// kill ends it as kill -9 does. It may have ended before.
func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// dies waits until the process ends, and checks that it did so at a point.
func (p *process) dies(point string) error {
	name, _, _ := strings.Cut(point, ":")
	select {
	case <-p.ended:
	case <-time.After(deathTimeout):
		return fmt.Errorf("%s did not come to %s (%s) within %v", p.config.ID, point, failpoint.What(name), deathTimeout)
	}
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if said := p.said(); !status.Signaled() || status.Signal() != syscall.SIGKILL || !strings.HasSuffix(said, failpoint.Said(name)) {
		return fmt.Errorf("%s ended by itself and not at %s: %v\n%s", p.config.ID, point, p.cmd.ProcessState, said)
	}
	return nil
}

// said is the log of the last start, without the middle of a long one.
func (p *process) said() string {
	text, err := os.ReadFile(p.log)
	if err != nil || int64(len(text)) < p.began {
		return fmt.Sprint(err)
	}
	const head, tail = 3000, 5000
	said := string(text[p.began:])
	if len(said) > head+tail {
		said = said[:head] + "\n[...]\n" + said[len(said)-tail:]
	}
	return said
}
