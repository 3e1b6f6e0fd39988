package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/grpc/status"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/remotecommand"
	criremote "k8s.io/cri-streaming/pkg/streaming/remotecommand"
	"k8s.io/streaming/pkg/httpstream/wsstream"
)

// statusTimeout bounds how long the last word to a client may take.
const statusTimeout = 10 * time.Second

// prodInterval is how often a client is written to whose input is not taken.
const prodInterval = 2 * time.Second

// serveV5 speaks v5.channel.k8s.io, in which a client can end its input. Like
// Kubernetes' apiserver it answers in the protocol whatever goes wrong.
func serveV5(w *hijacker, r *http.Request, o Options, open func(ctx context.Context) (Command, error)) {
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{
		remotecommand.StreamProtocolV5Name: {Binary: true, Channels: channels(o)},
	})
	conn.SetIdleTimeout(idleTimeout)
	_, streams, err := conn.Open(w, r)
	if err != nil {
		return // The WebSocket's server has answered.
	}
	defer func() { _ = conn.Close() }()
	// An empty message tells the client that the connection stands.
	first := remotecommand.StreamErr
	switch {
	case o.Stdout:
		first = remotecommand.StreamStdOut
	case o.Stderr:
		first = remotecommand.StreamStdErr
	}
	_, _ = streams[first].Write(nil)
	go prod(r.Context(), w.conn, streams[first])
	answer := runV5(r.Context(), o, streams, open)
	if body, err := json.Marshal(answer); err == nil {
		conn.SetWriteDeadline(statusTimeout)
		_, _ = streams[remotecommand.StreamErr].Write(body)
	}
}

// prod sends empty messages while nobody reads from the client, whose end would
// not be noticed behind what it has sent: its kernel refuses them.
func prod(ctx context.Context, conn *live, to io.Writer) {
	tick := time.NewTicker(prodInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if !conn.reading.Load() {
				_, _ = to.Write(nil) // The connection tells who listens.
			}
		}
	}
}

// channels are those of the protocol, as far as they are wanted.
func channels(o Options) []wsstream.ChannelType {
	wanted := func(yes bool, t wsstream.ChannelType) wsstream.ChannelType {
		if yes {
			return t
		}
		return wsstream.IgnoreChannel
	}
	return []wsstream.ChannelType{
		remotecommand.StreamStdIn:  wanted(o.Stdin, wsstream.ReadChannel),
		remotecommand.StreamStdOut: wanted(o.Stdout, wsstream.WriteChannel),
		remotecommand.StreamStdErr: wanted(o.Stderr, wsstream.WriteChannel),
		remotecommand.StreamErr:    wsstream.WriteChannel,
		remotecommand.StreamResize: wsstream.ReadChannel,
	}
}

// runV5 runs the command and says how it went.
func runV5(ctx context.Context, o Options, streams []io.ReadWriteCloser, open func(ctx context.Context) (Command, error)) metav1.Status {
	command, err := open(ctx)
	if err != nil {
		return internal(fmt.Errorf("unable to upgrade connection: %s", status.Convert(err).Message()))
	}
	defer command.Close()
	s := Streams{Resize: sizes(ctx, streams[remotecommand.StreamResize])}
	if o.Stdin {
		s.Stdin = streams[remotecommand.StreamStdIn]
	}
	if o.Stdout {
		s.Stdout = streams[remotecommand.StreamStdOut]
	}
	if o.Stderr {
		s.Stderr = streams[remotecommand.StreamStdErr]
	}
	code, err := command.Run(s)
	switch {
	case err != nil && o.attach():
		return internal(fmt.Errorf("error attaching to container: %s", status.Convert(err).Message()))
	case err != nil:
		return internal(fmt.Errorf("error executing command in container: %s", status.Convert(err).Message()))
	case code != 0:
		return exited(o.Command, code)
	}
	return metav1.Status{Status: metav1.StatusSuccess}
}

func internal(err error) metav1.Status { return apierrors.NewInternalError(err).Status() }

// exited is how clients are told a command's exit code.
func exited(args []string, code int) metav1.Status {
	return metav1.Status{
		Status: metav1.StatusFailure, Reason: remotecommand.NonZeroExitCodeReason,
		Message: "command terminated with non-zero exit code: " + exitText(args, code),
		Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{
			{Type: remotecommand.ExitCodeCauseType, Message: strconv.Itoa(code)},
		}},
	}
}

// sizes decodes a terminal's sizes until the stream ends or ctx does.
func sizes(ctx context.Context, r io.Reader) <-chan criremote.TerminalSize {
	out := make(chan criremote.TerminalSize)
	go func() {
		defer close(out)
		for decoder := json.NewDecoder(r); ; {
			var size criremote.TerminalSize
			if decoder.Decode(&size) != nil {
				return
			}
			select {
			case out <- size:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
