// Package exchange carries calls on single objects over one stream
// (ObjectService.Exchange), for both ends of it. What is called or answered
// while a message is on its way shares the next one, so that the cost of a
// message (headers, system calls, encryption, goroutines) is paid once for many
// calls; a caller that is alone waits for nobody. Callers whom one message
// answered may well call again at once: while some of them have yet to run, what
// the others call is not sent, so that they stay together.
package exchange
