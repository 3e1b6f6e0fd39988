package role

import "strings"

// Holder is the identity of an instance that runs apart, as its Lease shows it:
// name@host:port. The address, on which nobody else can listen, tells it from a
// server's instance of the same name, and says where to ask it.
func Holder(name, address string) string { return name + "@" + address }

// HolderAddress is where the holder of a Lease answers; "" when it is a server's
// instance, which answers where the server does.
func HolderAddress(holder string) string {
	_, address, _ := strings.Cut(holder, "@")
	return address
}
