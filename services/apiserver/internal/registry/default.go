package registry

// OrValue sets a field that has no value.
func OrValue[T comparable](field *T, value T) {
	var none T
	if *field == none {
		*field = value
	}
}

// OrDefault sets an optional field that was left out.
func OrDefault[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
