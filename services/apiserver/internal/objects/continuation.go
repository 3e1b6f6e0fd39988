package objects

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/musterhq/muster/services/apiserver/internal/state"
)

// latest is the revision of a page that need not fit to those before it.
const latest = -1

// continuation is where a page of a list ended. Clients see it encoded and are
// not to look into it.
type continuation struct {
	// Revision of the list; latest goes on with what is there now.
	Revision  int64  `json:"rv"`
	Namespace string `json:"ns,omitempty"`
	Name      string `json:"name"`
	// Passed counts the objects up to there; 0 if that is not known.
	Passed int64 `json:"n,omitempty"`
}

func (c continuation) encode() (string, error) {
	raw, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("encode continue token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(raw), nil
}

func (c continuation) after(resource string) state.Key {
	return state.Key{Resource: resource, Namespace: c.Namespace, Name: c.Name}
}

func parseContinuation(token string) (continuation, error) {
	var c continuation
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil {
		err = json.Unmarshal(raw, &c)
	}
	if err == nil && (c.Revision == 0 || c.Revision < latest || c.Name == "" || c.Passed < 0) {
		err = fmt.Errorf("revision or name is missing, or a count is negative")
	}
	if err != nil {
		return c, apierrors.NewBadRequest(fmt.Sprintf("invalid continue token: continue key is not valid: %v", err))
	}
	return c, nil
}
