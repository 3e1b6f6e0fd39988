package runtime

import "io"

// Streams connect a command, or a container's own program, with whoever asked
// for it. Each is read or written by one goroutine of the runtime's; a writer
// that blocks holds the command up.
type Streams struct {
	// Stdin ends the command's input with EOF; nil is no input. It is read until
	// it fails or ends, also after the command has: the caller unblocks it.
	Stdin io.Reader
	// Stdout and Stderr that are nil are not wanted. With TTY all output is Stdout.
	Stdout, Stderr io.Writer
	// TTY runs a command in a terminal.
	TTY bool
	// Resize tells the terminal's size whenever it changes; nil is never.
	Resize <-chan Size
}

// Size of a terminal in characters.
type Size struct{ Width, Height uint16 }
