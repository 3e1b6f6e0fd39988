package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"

	"github.com/musterhq/muster/sdk"
)

// Kinds asks the cluster by discovery, over HTTPS as every client of Kubernetes does,
// what kinds it serves.
type Kinds struct {
	// Server is the Kubernetes address, https://host:port.
	Server string
	// Client has the certificates.
	Client *http.Client

	known map[schema.GroupVersion]map[string]metav1.APIResource // by kind
}

// kind is what has to be known of one.
type kind struct {
	typ        string // Kubernetes message name
	namespaced bool
}

func (k *Kinds) find(ctx context.Context, gvk schema.GroupVersionKind) (kind, error) {
	group, ok := k.known[gvk.GroupVersion()]
	if !ok {
		var err error
		if group, err = k.discover(ctx, gvk.GroupVersion()); err != nil {
			return kind{}, err
		}
		if k.known == nil {
			k.known = map[schema.GroupVersion]map[string]metav1.APIResource{}
		}
		k.known[gvk.GroupVersion()] = group
	}
	resource, served := group[gvk.Kind]
	object, err := scheme.Scheme.New(gvk)
	if !served || err != nil {
		return kind{}, fmt.Errorf("no matches for kind %q in version %q", gvk.Kind, gvk.GroupVersion())
	}
	return kind{typ: sdk.TypeName(object), namespaced: resource.Namespaced}, nil
}

// discover returns what is served of a version of a group; nothing if that is not.
func (k *Kinds) discover(ctx context.Context, gv schema.GroupVersion) (map[string]metav1.APIResource, error) {
	path := "/apis/" + gv.String()
	if gv.Group == "" {
		path = "/api/" + gv.Version
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, k.Server+path, nil)
	if err != nil {
		return nil, fmt.Errorf("discover %s: %w", gv, err)
	}
	response, err := k.Client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("discover %s: %w", gv, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return nil, fmt.Errorf("discover %s: %w", gv, err)
	case response.StatusCode == http.StatusNotFound:
		return nil, nil
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("discover %s: the server answers %s", gv, response.Status)
	}
	var list metav1.APIResourceList
	if err := json.Unmarshal(body, &list); err != nil {
		return nil, fmt.Errorf("discover %s: %w", gv, err)
	}
	out := map[string]metav1.APIResource{}
	for _, r := range list.APIResources {
		if !strings.Contains(r.Name, "/") {
			out[r.Kind] = r
		}
	}
	return out, nil
}
