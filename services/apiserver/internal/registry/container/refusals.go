package container

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
	"github.com/musterhq/muster/services/apiserver/internal/registry/support"
)

// ValidateStopSignal checks the signal that ends a container.
func ValidateStopSignal(c *corev1.Container, os *corev1.PodOS, path *field.Path) field.ErrorList {
	if c.Lifecycle == nil || c.Lifecycle.StopSignal == nil {
		return nil
	}
	p := path.Child("lifecycle", "stopSignal")
	if os == nil || os.Name == "" {
		return field.ErrorList{field.Forbidden(p, "may not be set for containers with empty `spec.os.name`")}
	}
	signal := string(*c.Lifecycle.StopSignal)
	if !slices.Contains(signals, signal) {
		return field.ErrorList{field.NotSupported(p, signal, signals)}
	}
	return nil
}

// signals are those that every Linux has.
var signals = strings.Fields(`SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT
	SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP SIGTSTP SIGTTIN
	SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ`)

// ValidateSeccomp knows the default filter and none; a node has no others.
func ValidateSeccomp(p *corev1.SeccompProfile, path *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	if p.Type == corev1.SeccompProfileTypeLocalhost {
		return field.ErrorList{field.Forbidden(path.Child("type"), support.NotSupported)}
	}
	return check.OneOf(path.Child("type"), p.Type,
		corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined)
}
