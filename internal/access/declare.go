package access

import accessv1 "github.com/musterhq/muster/proto/muster/access/v1"

// Declare says who may call the methods of a service that is not Muster's own,
// such as gRPC's health and reflection services, whose protos carry no roles.
// It must be called before the server starts.
func (g *Guard) Declare(roles []accessv1.Role, fullMethods ...string) {
	for _, method := range fullMethods {
		g.roles.Store(method, roles)
	}
}
