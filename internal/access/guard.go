package access

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"
)

// Guard lets a call through when the caller's role is among those that the
// method's `roles` option names.
type Guard struct {
	authn func(ctx context.Context) (User, error)
	roles sync.Map // full method name → []accessv1.Role; only what the descriptors say
}

// NewGuard returns a guard that asks authn who calls. CheckServer must follow
// once the services are registered.
func NewGuard(authn func(ctx context.Context) (User, error)) *Guard {
	return &Guard{authn: authn}
}

// CheckServer returns an error when a registered method does not say who may
// call it. A server must not start then.
func (g *Guard) CheckServer(srv *grpc.Server) error {
	for service, info := range srv.GetServiceInfo() {
		for _, method := range info.Methods {
			if _, err := g.rolesOf("/" + service + "/" + method.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// Unary guards unary calls and puts the caller into the context.
func (g *Guard) Unary() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		ctx, err := g.admit(ctx, info.FullMethod)
		if err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
}

// Stream guards streams and puts the caller into their context.
func (g *Guard) Stream() grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		ctx, err := g.admit(stream.Context(), info.FullMethod)
		if err != nil {
			return err
		}
		return handler(srv, &userStream{ServerStream: stream, ctx: ctx})
	}
}

type userStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *userStream) Context() context.Context { return s.ctx }

func (g *Guard) admit(ctx context.Context, fullMethod string) (context.Context, error) {
	allowed, err := g.rolesOf(fullMethod)
	if err != nil {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	user, err := g.authn(ctx)
	if err != nil {
		if _, ok := status.FromError(err); ok {
			return nil, err
		}
		return nil, status.Error(codes.Unauthenticated, err.Error())
	}
	role := user.Role()
	// What takes callers without credentials takes those who have some, too.
	if !slices.Contains(allowed, role) && !slices.Contains(allowed, accessv1.Role_ROLE_ANONYMOUS) {
		if role == accessv1.Role_ROLE_ANONYMOUS {
			return nil, status.Errorf(codes.Unauthenticated, "%s needs a client certificate or a token", fullMethod)
		}
		return nil, status.Errorf(codes.PermissionDenied, "user %q may not call %s", user.Name, fullMethod)
	}
	return WithUser(ctx, user), nil
}

func (g *Guard) rolesOf(fullMethod string) ([]accessv1.Role, error) {
	if roles, ok := g.roles.Load(fullMethod); ok {
		return roles.([]accessv1.Role), nil
	}
	name := strings.ReplaceAll(strings.TrimPrefix(fullMethod, "/"), "/", ".")
	descriptor, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("method %s has no descriptor: %w", fullMethod, err)
	}
	method, ok := descriptor.(protoreflect.MethodDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is no method", fullMethod)
	}
	roles, err := RolesOf(method)
	if err != nil {
		return nil, err
	}
	g.roles.Store(fullMethod, roles)
	return roles, nil
}

// RolesOf reads the `roles` option of a method; one without it is an error.
func RolesOf(method protoreflect.MethodDescriptor) ([]accessv1.Role, error) {
	roles, _ := proto.GetExtension(method.Options(), accessv1.E_Roles).([]accessv1.Role)
	if len(roles) == 0 || slices.Contains(roles, accessv1.Role_ROLE_UNSPECIFIED) {
		return nil, fmt.Errorf("method %s does not declare who may call it: give it the option (muster.access.v1.roles)", method.FullName())
	}
	return roles, nil
}
