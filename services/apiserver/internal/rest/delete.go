package rest

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/codec"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// warnDelete tells what becomes of dependents where the client did not say.
func warnDelete(w http.ResponseWriter, k *registry.Kind, o metav1.DeleteOptions) {
	if k.DeleteWarning != "" && o.PropagationPolicy == nil && o.OrphanDependents == nil {
		addWarning(w, k.DeleteWarning)
	}
}

func (h *Handler) delete(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	f, err := objectForm(r, t)
	if err != nil {
		return err
	}
	o, err := deleteOptions(r)
	if err != nil {
		return err
	}
	outcome, err := h.objects.Delete(r.Context(), t, o)
	if err != nil {
		return err
	}
	warnDelete(w, t.Kind, o)
	if !outcome.Gone {
		return h.writeStored(w, r, f, http.StatusOK, t, outcome.Object)
	}
	meta, err := outcome.Object.Meta()
	if err != nil {
		return err
	}
	return writeStatus(w, r, http.StatusOK, &metav1.Status{
		Status:  metav1.StatusSuccess,
		Details: &metav1.StatusDetails{Name: meta.Name, Group: t.Kind.GVK.Group, Kind: t.Kind.Resource, UID: meta.UID},
	})
}

func (h *Handler) deleteCollection(w http.ResponseWriter, r *http.Request, t objects.Target) error {
	f, err := pageForm(r, t)
	if err != nil {
		return err
	}
	o, err := deleteOptions(r)
	if err != nil {
		return err
	}
	lo, err := listOptions(r.URL.Query())
	if err != nil {
		return err
	}
	page, err := h.objects.DeleteCollection(r.Context(), t, lo, o)
	if err != nil {
		return err
	}
	warnDelete(w, t.Kind, o)
	return h.writePage(w, r, f, t, page)
}

// deleteOptions reads the body, or the query where there is none.
func deleteOptions(r *http.Request) (metav1.DeleteOptions, error) {
	var o metav1.DeleteOptions
	body, err := readBody(r)
	if err != nil {
		return o, err
	}
	if len(body) == 0 {
		err = deleteQuery(r, &o)
	} else {
		err = decodeDeleteOptions(r, body, &o)
	}
	if err != nil {
		return o, err
	}
	if errs := validation.ValidateDeleteOptions(&o); len(errs) > 0 {
		return o, invalidOptions("DeleteOptions", errs)
	}
	return o, nil
}

func decodeDeleteOptions(r *http.Request, body []byte, o *metav1.DeleteOptions) error {
	media, err := bodyMedia(r)
	if err != nil {
		return err
	}
	if media == typeYAML {
		if body, err = yaml.YAMLToJSON(body); err != nil {
			return apierrors.NewBadRequest(err.Error())
		}
	}
	return codec.DecodeDeleteOptions(body, o)
}

func deleteQuery(r *http.Request, o *metav1.DeleteOptions) error {
	q := r.URL.Query()
	var err error
	if o.GracePeriodSeconds, err = integer(q, "gracePeriodSeconds"); err != nil {
		return err
	}
	o.OrphanDependents = boolean(q, "orphanDependents")
	if q.Has("propagationPolicy") {
		o.PropagationPolicy = ptr.To(metav1.DeletionPropagation(q.Get("propagationPolicy")))
	}
	o.DryRun = q["dryRun"]
	return nil
}
