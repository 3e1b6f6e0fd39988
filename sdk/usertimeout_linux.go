package sdk

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// setUserTimeout has the kernel end a connection whose bytes are not
// acknowledged, as happens when the other machine is gone without a word.
func setUserTimeout(_, _ string, raw syscall.RawConn) error {
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unackedTimeout.Milliseconds()))
	}); err != nil {
		return err
	}
	return set
}
