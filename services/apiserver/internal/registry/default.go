package registry

// orValue sets a field that has no value.
func orValue[T comparable](field *T, value T) {
	var none T
	if *field == none {
		*field = value
	}
}

// orDefault sets an optional field that was left out.
func orDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
