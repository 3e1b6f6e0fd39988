// Package codec reads objects as clients send them, with Kubernetes' answers to
// what cannot be read.
package codec

import (
	"errors"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Validation says what unknown and duplicate fields mean.
type Validation string

// The values of the query parameter fieldValidation.
const (
	Ignore Validation = metav1.FieldValidationIgnore
	Warn   Validation = metav1.FieldValidationWarn
	Strict Validation = metav1.FieldValidationStrict
)

// ParseValidation reads the query parameter; empty is Warn.
func ParseValidation(text string) (Validation, error) {
	switch v := Validation(text); v {
	case "":
		return Warn, nil
	case Ignore, Warn, Strict:
		return v, nil
	}
	return "", apierrors.NewInvalid(metav1.SchemeGroupVersion.WithKind("CreateOptions").GroupKind(), "", field.ErrorList{
		field.NotSupported(field.NewPath("fieldValidation"), text, []string{string(Ignore), string(Strict), string(Warn)})})
}

// Settle makes warnings or an error of what a strict decoding found.
func (v Validation) Settle(found []error) ([]string, error) {
	if len(found) == 0 || v == Ignore {
		return nil, nil
	}
	if v == Strict {
		return nil, errors.New(strictText(found))
	}
	warnings := make([]string, len(found))
	for i, err := range found {
		warnings[i] = err.Error()
	}
	return warnings, nil
}

func strictText(found []error) string {
	text := "strict decoding error: "
	for i, err := range found {
		if i > 0 {
			text += ", "
		}
		text += err.Error()
	}
	return text
}
