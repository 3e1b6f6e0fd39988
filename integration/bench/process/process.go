// Package process runs the servers that a benchmark measures.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// stopTime is how long a process may take to end after it was asked to.
const stopTime = 20 * time.Second

// Process is one server. It can be started again once it has ended, and ends
// with the benchmark however that ends.
type Process struct {
	// Args are the command and its arguments.
	Args []string
	// Log is the file that takes its output, over all starts.
	Log string

	cmd   *exec.Cmd
	ended chan struct{} // closed when cmd has ended
}

// Start starts it.
func (p *Process) Start() error {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Args[0], err)
	}
	defer log.Close()
	cmd := exec.Command(p.Args[0], p.Args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Args[0], err)
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go func(ended chan<- struct{}) {
		_ = cmd.Wait() // how it ended is in its log
		close(ended)
	}(p.ended)
	return nil
}

// Signal sends a signal.
func (p *Process) Signal(signal os.Signal) error {
	if p.cmd == nil {
		return errors.New("signal: not started")
	}
	return p.cmd.Process.Signal(signal)
}

// Kill ends it as kill -9 does.
func (p *Process) Kill() { p.end(syscall.SIGKILL) }

// Stop asks it to end, and kills it when it takes too long.
func (p *Process) Stop() { p.end(syscall.SIGTERM) }

func (p *Process) end(signal os.Signal) {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Signal(signal) // it may have ended already
	timer := time.NewTimer(stopTime)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
	p.cmd = nil
}

// WaitListening waits until something listens at a TCP address. It fails with
// the end of the log when the process ends first.
func (p *Process) WaitListening(ctx context.Context, address string) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-tick.C:
		case <-p.ended:
			return fmt.Errorf("%s ended before it listened on %s:\n%s", p.Args[0], address, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not listen on %s: %w\n%s", p.Args[0], address, ctx.Err(), p.tail())
		}
	}
}

// tail returns the last lines of the log.
func (p *Process) tail() []byte {
	const lines = 15
	data, _ := os.ReadFile(p.Log)
	at := len(data)
	for range lines {
		if at = bytes.LastIndexByte(data[:max(at-1, 0)], '\n'); at < 0 {
			return data
		}
	}
	return data[at+1:]
}
