package access

import "strings"

// ServiceAccountPrefix begins the names of users that are service accounts.
const ServiceAccountPrefix = "system:serviceaccount:"

// ServiceAccount returns the namespace and the name of the service account that a user
// is, or false for any other.
func ServiceAccount(user string) (namespace, name string, ok bool) {
	rest, ok := strings.CutPrefix(user, ServiceAccountPrefix)
	if !ok {
		return "", "", false
	}
	namespace, name, ok = strings.Cut(rest, ":")
	return namespace, name, ok && namespace != "" && name != "" && !strings.Contains(name, ":")
}

// ServiceAccountGroups are those that a service account of the namespace is in.
func ServiceAccountGroups(namespace string) []string {
	return []string{"system:serviceaccounts", "system:serviceaccounts:" + namespace}
}
