package auth

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/internal/access"
)

const impersonatePrefix = "Impersonate-"

// Impersonates tells whether a request is made in another's name (kubectl --as).
func Impersonates(header http.Header) bool {
	for name := range header {
		if strings.HasPrefix(name, impersonatePrefix) {
			return true
		}
	}
	return false
}

// Impersonate returns whom the headers say that the user acts as, who must be allowed
// to be each part of it.
func (a *Authorizer) Impersonate(user access.User, header http.Header) (access.User, error) {
	parts := partsOf(header)
	if len(parts) == 0 {
		return user, nil
	}
	if header.Get(authenticationv1.ImpersonateUserHeader) == "" {
		return access.User{}, withoutUser(parts)
	}
	as := access.User{By: &user}
	namesGroups := len(header[authenticationv1.ImpersonateGroupHeader]) > 0
	for _, part := range parts {
		if err := a.Authorize(part.request(user)); err != nil {
			return access.User{}, err
		}
		part.apply(&as, namesGroups)
	}
	as.Groups = withBasicGroup(as.Name, as.Groups)
	return as, nil
}

// withoutUser refuses headers that name a group and no user in it.
func withoutUser(parts []part) error {
	refs := make([]corev1.ObjectReference, len(parts))
	for i, p := range parts {
		refs[i] = corev1.ObjectReference(p)
	}
	return apierrors.NewBadRequest(fmt.Sprintf("requested %v without impersonating a user", refs))
}

// withBasicGroup adds the group of all who are known, or of those who are not, unless
// one of them was asked for.
func withBasicGroup(name string, groups []string) []string {
	basic := access.Authenticated
	if name == access.Anonymous {
		basic = access.Unauthenticated
	}
	if slices.Contains(groups, access.Unauthenticated) || slices.Contains(groups, basic) {
		return groups
	}
	return append(groups, basic)
}

// part is one thing that a user wants to be: its kind and, for more that is known of
// users, the key in FieldPath.
type part corev1.ObjectReference

// partsOf reads the headers, the user first.
func partsOf(header http.Header) []part {
	var parts []part
	if name := header.Get(authenticationv1.ImpersonateUserHeader); name != "" {
		if namespace, account, ok := access.ServiceAccount(name); ok {
			parts = append(parts, part{Kind: "ServiceAccount", Namespace: namespace, Name: account})
		} else {
			parts = append(parts, part{Kind: "User", Name: name})
		}
	}
	for _, group := range header[authenticationv1.ImpersonateGroupHeader] {
		parts = append(parts, part{Kind: "Group", Name: group})
	}
	version := authenticationv1.SchemeGroupVersion.String()
	for name, values := range header {
		key, ok := strings.CutPrefix(name, authenticationv1.ImpersonateUserExtraHeaderPrefix)
		if !ok {
			continue
		}
		key = strings.ToLower(key)
		if unescaped, err := url.PathUnescape(key); err == nil {
			key = unescaped
		}
		for _, value := range values {
			parts = append(parts, part{Kind: "UserExtra", APIVersion: version, Name: value, FieldPath: key})
		}
	}
	if uid := header.Get(authenticationv1.ImpersonateUIDHeader); uid != "" {
		parts = append(parts, part{Kind: "UID", APIVersion: version, Name: uid})
	}
	return parts
}

// impersonated is what the kinds are called by roles.
var impersonated = map[string]schema.GroupResource{
	"ServiceAccount": {Resource: "serviceaccounts"}, "User": {Resource: "users"}, "Group": {Resource: "groups"},
	"UserExtra": {Group: authenticationv1.GroupName, Resource: "userextras"}, "UID": {Group: authenticationv1.GroupName, Resource: "uids"},
}

func (p part) request(user access.User) Request {
	return Request{
		User: user, Verb: "impersonate", Resource: impersonated[p.Kind], Subresource: p.FieldPath, Namespace: p.Namespace, Name: p.Name,
	}
}

func (p part) apply(as *access.User, namesGroups bool) {
	switch p.Kind {
	case "ServiceAccount":
		as.Name = access.ServiceAccountPrefix + p.Namespace + ":" + p.Name
		if !namesGroups {
			as.Groups = access.ServiceAccountGroups(p.Namespace)
		}
	case "User":
		as.Name = p.Name
	case "Group":
		as.Groups = append(as.Groups, p.Name)
	case "UserExtra":
		if as.Extra == nil {
			as.Extra = map[string][]string{}
		}
		as.Extra[p.FieldPath] = append(as.Extra[p.FieldPath], p.Name)
	case "UID":
		as.UID = p.Name
	}
}
