package runtime

import "errors"

// ErrNotFound is wrapped by errors about a missing pod, container or image.
var ErrNotFound = errors.New("not found")
