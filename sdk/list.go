package sdk

import (
	"context"
	"iter"

	"google.golang.org/protobuf/types/known/anypb"

	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// pageSize is how many objects All gets at once.
const pageSize = 500

// Page is what a list answered.
type Page[T Object] struct {
	// Items ordered by namespace and name.
	Items []T
	// ResourceVersion the list was made at; a watch from it misses nothing.
	ResourceVersion string
	// Continue gets the next page; empty when this was the last.
	Continue string
	// Remaining is the count of items after this page.
	Remaining int64
}

// List returns objects as of one revision. It is linearizable, and tried again
// by itself while no server answers.
func List[T Object](ctx context.Context, c *Client, opts ListOptions) (*Page[T], error) {
	return list[T](ctx, c, opts, TypeNameOf[T](), false)
}

func list[T Object](ctx context.Context, c *Client, opts ListOptions, typ string, metadataOnly bool) (*Page[T], error) {
	req := &apiv1.ListRequest{
		Type: typ, MetadataOnly: metadataOnly, Namespace: opts.Namespace, LabelSelector: opts.LabelSelector,
		FieldSelector: opts.FieldSelector, Limit: opts.Limit, ContinueToken: opts.Continue,
		ResourceVersion: opts.ResourceVersion, ResourceVersionMatch: string(opts.ResourceVersionMatch),
	}
	page, err := retried(ctx, c, again, func(ctx context.Context) (*Page[T], error) {
		ctx, cancel := c.bounded(ctx)
		defer cancel()
		resp, err := c.objects.List(ctx, req)
		if err != nil {
			return nil, fromGRPC(ctx, err)
		}
		items, err := decodeAll[T](resp.GetObjects())
		return &Page[T]{Items: items, ResourceVersion: resp.GetResourceVersion(),
			Continue: resp.GetContinueToken(), Remaining: resp.GetRemainingItemCount()}, err
	})
	return page, wrap(err, "list", req.Type, opts.Namespace, "")
}

func decodeAll[T Object](packed []*anypb.Any) ([]T, error) {
	out := make([]T, 0, len(packed))
	for _, a := range packed {
		obj, err := Decode[T](a)
		if err != nil {
			return nil, err
		}
		out = append(out, obj)
	}
	return out, nil
}

// All yields all objects that are selected, as of one revision, in pages of
// opts.Limit, or 500 if that is 0. An error is the last thing it yields; IsExpired
// holds for it when what is done with the objects took so long that the revision is
// no longer kept.
//
//	for pod, err := range sdk.All[*corev1.Pod](ctx, c, sdk.ListOptions{Namespace: "default"}) {
func All[T Object](ctx context.Context, c *Client, opts ListOptions) iter.Seq2[T, error] {
	if opts.Limit == 0 {
		opts.Limit = pageSize
	}
	return func(yield func(T, error) bool) {
		for {
			page, err := List[T](ctx, c, opts)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, obj := range page.Items {
				if !yield(obj, nil) {
					return
				}
			}
			if opts.Continue = page.Continue; opts.Continue == "" {
				return
			}
			opts.ResourceVersion, opts.ResourceVersionMatch = "", "" // the token has them
		}
	}
}

// DeleteCollection deletes the objects that are selected, in batches, and returns
// them as they were. After an error some may be deleted. Limit, Continue,
// ResourceVersion, and UID and ResourceVersion of the deletion have no part in it.
func DeleteCollection[T Object](ctx context.Context, c *Client, which ListOptions, how DeleteOptions) ([]T, error) {
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	resp, err := c.objects.DeleteCollection(ctx, &apiv1.DeleteCollectionRequest{
		Type: TypeNameOf[T](), Namespace: which.Namespace, LabelSelector: which.LabelSelector, FieldSelector: which.FieldSelector,
		GracePeriodSeconds: how.GracePeriodSeconds, PropagationPolicy: string(how.Propagation), DryRun: how.DryRun,
	})
	if err != nil {
		return nil, wrap(fromGRPC(ctx, err), "delete all", TypeNameOf[T](), which.Namespace, "")
	}
	return decodeAll[T](resp.GetObjects())
}
