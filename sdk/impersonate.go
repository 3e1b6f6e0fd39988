package sdk

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Impersonate is whom a client acts as: a user other than the one whose credentials it
// has, who must be allowed to (RBAC's verb impersonate).
type Impersonate struct {
	// User to act as.
	User string
	// UID of the user; may be empty.
	UID string
	// Groups of the user.
	Groups []string
	// Extra is what else is known of the user.
	Extra map[string][]string
}

// options has every call say who it is made as.
func (i Impersonate) options() []grpc.DialOption {
	if i.User == "" {
		return nil
	}
	headers := metadata.Pairs("impersonate-user", i.User)
	if i.UID != "" {
		headers.Set("impersonate-uid", i.UID)
	}
	headers.Append("impersonate-group", i.Groups...)
	for key, values := range i.Extra {
		headers.Append("impersonate-extra-"+key, values...)
	}
	with := func(ctx context.Context) context.Context {
		sent, _ := metadata.FromOutgoingContext(ctx)
		return metadata.NewOutgoingContext(ctx, metadata.Join(sent, headers))
	}
	return []grpc.DialOption{
		grpc.WithChainUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, call grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return call(with(ctx), method, req, reply, cc, opts...)
		}),
		grpc.WithChainStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return stream(with(ctx), desc, cc, method, opts...)
		}),
	}
}
