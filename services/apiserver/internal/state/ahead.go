package state

// Ahead returns the same state at a revision that is ahead by so many. It is for
// when what others saw at later revisions was lost: new changes get revisions
// that nobody has seen, and whoever watches from an earlier one is too old.
func (i *Image) Ahead(by uint64) *Image {
	at, ahead := *i.at, *i
	at.revision += by
	ahead.at = &at
	return &ahead
}
