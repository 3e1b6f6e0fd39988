package objects

import "context"

// Authorize checks that the caller may do verb on what t names, subresource
// included; the object need not exist. It is for what is no change and no read
// of objects: streams.
func (s *Service) Authorize(ctx context.Context, verb string, t Target) error {
	return s.authorize(ctx, verb, t, nil)
}

// Read returns an object for the server's own use: the caller must have been
// authorised for what it is read for.
func (s *Service) Read(ctx context.Context, t Target) (Stored, error) {
	view, err := s.viewNotOlder(ctx, "")
	if err != nil {
		return Stored{}, err
	}
	e, ok := view.Get(t.key())
	if !ok {
		return Stored{}, notFound(t)
	}
	return storedEntry(t.Kind, e), nil
}

// ReadList returns the objects of t's namespace that the selectors name, likewise.
func (s *Service) ReadList(ctx context.Context, t Target, labelSelector, fieldSelector string) ([]Stored, error) {
	sel, err := parseSelector(t.Kind, labelSelector, fieldSelector)
	if err != nil {
		return nil, err
	}
	l, err := s.listView(ctx, t, ListOptions{})
	if err != nil {
		return nil, err
	}
	page, err := l.collect(t, sel, 0)
	return page.Items, err
}
