// Package console is how somebody attaches to a container: a socket beside the
// container, on which its log writer hands out what it writes and takes input.
package console

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
)

// The files of a console's directory.
const (
	// Stdin is the named pipe that the container reads; it is there only for a
	// container that has input.
	Stdin = "stdin"
	// socket is where the log writer listens.
	socket = "attach"
)

// Kinds of messages.
const (
	Input    byte = 0 // for the container
	Output   byte = 1 // its standard output, and all of a terminal
	Errors   byte = 2 // its standard error
	InputEnd byte = 3 // no input will follow, ever
)

// maxMessage bounds what a peer may announce, in bytes.
const maxMessage = 1 << 20

// Listen opens the console in dir. An earlier one is gone: a container has one.
func Listen(dir string) (net.Listener, error) {
	if err := os.Remove(filepath.Join(dir, socket)); err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("open console: %w", err)
	}
	var lis net.Listener
	err := within(dir, func(path string) (err error) {
		lis, err = net.Listen("unix", path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open console: %w", err)
	}
	// Its path is one that only this process knew.
	lis.(*net.UnixListener).SetUnlinkOnClose(false)
	return lis, nil
}

// Dial attaches to the console in dir.
func Dial(dir string) (net.Conn, error) {
	var conn net.Conn
	err := within(dir, func(path string) (err error) {
		conn, err = net.Dial("unix", path)
		return err
	})
	return conn, err
}

// within gives a short path to the socket: the kernel takes 108 bytes.
func within(dir string, do func(path string) error) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return do(fmt.Sprintf("/proc/self/fd/%d/%s", d.Fd(), socket))
}

// Write sends one message.
func Write(w io.Writer, kind byte, data []byte) error {
	head := make([]byte, 5, 5+len(data))
	head[0] = kind
	binary.BigEndian.PutUint32(head[1:], uint32(len(data)))
	_, err := w.Write(append(head, data...))
	return err
}

// Read receives one message.
func Read(r io.Reader) (kind byte, data []byte, err error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if n > maxMessage {
		return 0, nil, fmt.Errorf("console: message of %d bytes, at most %d are allowed", n, maxMessage)
	}
	data = make([]byte, n)
	_, err = io.ReadFull(r, data)
	return head[0], data, err
}
