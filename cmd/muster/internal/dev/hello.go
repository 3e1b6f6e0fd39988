package dev

import (
	"errors"
	"net"
	"os"
	"time"
)

// maxHello bounds what is taken of a client before it is answered. It is more
// than a TLS ClientHello, which is all that a client can say by then.
const maxHello = 64 << 10

// hello is what a client has said before it was answered. A server that closes
// its door resets the connections that it has not accepted yet. What was said on
// one of those can be said to another server: a ClientHello commits nobody.
type hello struct {
	client net.Conn
	said   []byte
	// over is set when there is nothing to try again: the client was answered, or
	// has gone.
	over bool
}

// answered says to a server what the client has said and says, until the first
// bytes of an answer, and passes these on. It returns false when none came.
func (h *hello) answered(server net.Conn) bool {
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		h.listen(server)
	}()
	answer := make([]byte, 16<<10)
	n, _ := server.Read(answer)
	_ = h.client.SetReadDeadline(time.Unix(0, 1)) // wakes listen
	<-listening
	_ = h.client.SetReadDeadline(time.Time{})
	if n == 0 {
		return false
	}
	h.over = true
	_, err := h.client.Write(answer[:n])
	return err == nil
}

// listen passes on what the client says until its read deadline.
func (h *hello) listen(server net.Conn) {
	_, err := server.Write(h.said)
	piece := make([]byte, 4<<10)
	for err == nil && len(h.said) < maxHello {
		var n int
		if n, err = h.client.Read(piece); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				h.over = true
				_ = server.Close()
			}
			return
		}
		h.said = append(h.said, piece[:n]...)
		_, err = server.Write(piece[:n])
	}
}
