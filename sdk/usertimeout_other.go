//go:build !linux

package sdk

import "syscall"

// setUserTimeout does nothing where the kernel has no such timeout; the probe
// notices a silent server all the same.
func setUserTimeout(_, _ string, _ syscall.RawConn) error { return nil }
