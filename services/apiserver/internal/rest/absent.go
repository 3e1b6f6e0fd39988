package rest

import "net/http"

// crdPath is where clients list the definitions of custom resources.
const crdPath = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

// serveNoCustomResources answers with what is true of every cluster: that no
// custom resources are defined. kubectl asks when it meets a kind it does not
// know, and without an answer reports that instead of the unknown kind.
func serveNoCustomResources(w http.ResponseWriter, r *http.Request) (done bool, err error) {
	if r.URL.Path != crdPath || r.Method != http.MethodGet || isWatch(r) {
		return false, nil
	}
	return true, writeJSON(w, http.StatusOK, map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinitionList",
		"metadata": map[string]any{"resourceVersion": "0"}, "items": []any{},
	})
}
