package certificates

import (
	"fmt"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// signerPermission is what a user must be allowed on a signer, by its name or by
// that of all signers of its domain.
func signerPermission(verb, signer, refusal string) *registry.Permission {
	domain, _, _ := strings.Cut(signer, "/")
	return &registry.Permission{
		Verb: verb, Resource: certificatesv1.Resource("signers"), Names: []string{signer, domain + "/*"},
		Refusal: fmt.Sprintf(refusal, signer),
	}
}

// onlySigners has a change of the status take the permission to sign for the signer.
func onlySigners(k *registry.Kind, signer func(registry.Object) string) *registry.Kind {
	status, _ := k.Subresource("status")
	status.Needs = func(obj, old registry.Object) *registry.Permission {
		if registry.SameStatus(obj, old) {
			return nil
		}
		return signerPermission("sign", signer(old), "user not permitted to sign requests with signerName %q")
	}
	return k
}

// validateSigner checks that a name is like example.com/signer, and short enough
// for <domain>/<namespace>.<name>.
func validateSigner(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	domain, rest, ok := strings.Cut(name, "/")
	if !ok || strings.Contains(rest, "/") {
		return field.ErrorList{field.Invalid(path, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")}
	}
	const longestDomain = validation.DNS1123SubdomainMaxLength
	const longest = 2*longestDomain + validation.DNS1123LabelMaxLength + 2
	var errs field.ErrorList
	if len(domain) > longestDomain {
		errs = append(errs, field.TooLong(path, "" /* unused */, longestDomain))
	}
	errs = append(errs, validateDotted(domain, path, validation.IsDNS1123Label)...)
	if !strings.Contains(domain, ".") {
		errs = append(errs, field.Invalid(path, domain, "should be a domain with at least two segments separated by dots"))
	}
	errs = append(errs, validateDotted(rest, path, validation.IsDNS1123Subdomain)...)
	if len(name) > longest {
		errs = append(errs, field.TooLong(path, "" /* unused */, longest))
	}
	return errs
}

// validateDotted checks the parts of a name up to the first that is wrong.
func validateDotted(name string, path *field.Path, check func(string) []string) field.ErrorList {
	for label := range strings.SplitSeq(name, ".") {
		var errs field.ErrorList
		for _, msg := range check(label) {
			errs = append(errs, field.Invalid(path, name, fmt.Sprintf("validating label %q: %s", label, msg)))
		}
		if len(errs) > 0 {
			return errs
		}
	}
	return nil
}
