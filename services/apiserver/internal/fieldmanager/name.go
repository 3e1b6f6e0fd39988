package fieldmanager

import (
	"strings"
	"unicode"
	"unicode/utf8"

	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
)

// NameOf returns the manager that a client is who names none: what it calls itself up
// to the version, as far as that can be printed.
func NameOf(userAgent string) string {
	name, _, _ := strings.Cut(userAgent, "/")
	if len(name) <= metavalidation.FieldManagerMaxLength && strings.IndexFunc(name, unprintable) < 0 {
		return name
	}
	var out strings.Builder
	for _, r := range name {
		if unprintable(r) {
			continue
		}
		if out.Len()+utf8.RuneLen(r) > metavalidation.FieldManagerMaxLength {
			break
		}
		out.WriteRune(r)
	}
	return out.String()
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
