package objects

import (
	"context"

	accessv1 "github.com/musterhq/muster/proto/muster/access/v1"

	"github.com/musterhq/muster/internal/access"
)

// restricted tells whether the caller may read only some objects of a kind.
func (s *Service) restricted(ctx context.Context) bool {
	user, ok := access.UserFrom(ctx)
	return !ok || user.Role() == accessv1.Role_ROLE_NODE
}
