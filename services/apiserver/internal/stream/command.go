// Package stream speaks the protocols by which Kubernetes' clients run commands
// and forward ports: SPDY/3.1, WebSocket with channels, and SPDY within a
// WebSocket. What they lead to is somebody else's.
package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"google.golang.org/grpc/status"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/wsstream"
	"k8s.io/utils/exec"
)

// The times are kubelet's.
const (
	idleTimeout     = 4 * time.Hour
	creationTimeout = 30 * time.Second
)

// Streams connect a command with its client. A nil one is not wanted.
type Streams struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Resize         <-chan remotecommand.TerminalSize
}

// Command is ready to run in a container.
type Command interface {
	// Run blocks until the command has ended and its output is written. The
	// exit code is 0 when it only attached.
	Run(s Streams) (exitCode int, err error)
	// Close ends it, also before it ran.
	Close()
}

// Options are a client's wishes.
type Options struct {
	Stdin, Stdout, Stderr, TTY bool
	// Command is what runs, for the words of errors; empty attaches.
	Command []string
}

func (o *Options) attach() bool { return len(o.Command) == 0 }

// check words what kubelet refuses.
func (o *Options) check() error {
	if o.TTY {
		o.Stderr = false
	}
	if !o.Stdin && !o.Stdout && !o.Stderr {
		return errors.New("you must specify at least 1 of stdin, stdout, stderr")
	}
	return nil
}

// quiet keeps the protocols' libraries from logging what clients do: every
// connection that ends is an error to them, and the client is told what matters.
func quiet(ctx context.Context) context.Context { return klog.NewContext(ctx, klog.Logger{}) }

// IsUpgrade tells whether the request asks for a stream at all.
func IsUpgrade(r *http.Request) bool { return httpstream.IsUpgradeRequest(r) }

// ServeCommand connects a client with a command. open is called with a context
// that ends when the client goes away; its error is answered as kubelet's would
// be. The connection is the client's no more when this returns.
func ServeCommand(w http.ResponseWriter, r *http.Request, o Options, open func(ctx context.Context) (Command, error)) {
	if err := o.check(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	r = r.WithContext(quiet(ctx))
	h := &hijacker{ResponseWriter: w, gone: cancel}
	if wsstream.IsWebSocketRequestWithStreamCloseProtocol(r) {
		serveV5(h, r, o, open)
		return
	}
	command, err := open(ctx)
	if err != nil {
		http.Error(w, status.Convert(err).Message(), http.StatusInternalServerError)
		return
	}
	defer command.Close()
	want := &remotecommand.Options{Stdin: o.Stdin, Stdout: o.Stdout, Stderr: o.Stderr, TTY: o.TTY}
	run := executor{command, o.Command, h}
	if o.attach() {
		remotecommand.ServeAttach(h, r, run, "", "", "", want, idleTimeout, creationTimeout, remotecommand.SupportedStreamingProtocols)
		return
	}
	remotecommand.ServeExec(h, r, run, "", "", "", nil, want, idleTimeout, creationTimeout, remotecommand.SupportedStreamingProtocols)
}

// executor is a command as the protocol's library calls it.
type executor struct {
	Command
	args   []string
	client *hijacker
}

// ExecInContainer implements remotecommand.Executor.
func (e executor) ExecInContainer(ctx context.Context, _, _, _ string, _ []string, in io.Reader, out, errs io.WriteCloser, _ bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	return e.run(ctx, in, out, errs, resize)
}

// AttachContainer implements remotecommand.Attacher.
func (e executor) AttachContainer(ctx context.Context, _, _, _ string, in io.Reader, out, errs io.WriteCloser, _ bool, resize <-chan remotecommand.TerminalSize) error {
	return e.run(ctx, in, out, errs, resize)
}

func (e executor) run(ctx context.Context, in io.Reader, out, errs io.WriteCloser, resize <-chan remotecommand.TerminalSize) error {
	s := Streams{Stdin: in, Resize: resize}
	if errs != nil {
		s.Stderr = errs
	}
	if out != nil {
		s.Stdout = out
		go prod(ctx, e.client.conn, out)
	}
	code, err := e.Run(s)
	if err != nil {
		return errors.New(status.Convert(err).Message())
	}
	if code != 0 {
		return exec.CodeExitError{Err: errors.New(exitText(e.args, code)), Code: code}
	}
	return nil
}

// exitText is how containerd words it to kubelet.
func exitText(args []string, code int) string {
	return fmt.Sprintf("error executing command %v, exit code %d", args, code)
}
