package registry

import (
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// createdAtColumn is what is shown of kinds that have nothing else to show.
func createdAtColumn() Column {
	return Column{
		Name: "Created At", Type: "date",
		Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"],
		Value: func(obj Object, _ time.Time) any {
			return obj.GetCreationTimestamp().UTC().Format(time.RFC3339)
		},
	}
}

func bindingColumns[T Object](parts func(T) (rbacv1.RoleRef, []rbacv1.Subject)) []Column {
	subjects := func(kind string) func(T) any {
		return func(obj T) any {
			_, all := parts(obj)
			return subjectNames(all, kind)
		}
	}
	doc := rbacv1.RoleBinding{}.SwaggerDoc()
	return []Column{
		column("Role", "string", doc["roleRef"], func(obj T) any {
			ref, _ := parts(obj)
			return ref.Kind + "/" + ref.Name
		}),
		ageColumn(),
		wide(column("Users", "string", "Users in the roleBinding", subjects(rbacv1.UserKind))),
		wide(column("Groups", "string", "Groups in the roleBinding", subjects(rbacv1.GroupKind))),
		wide(column("ServiceAccounts", "string", "ServiceAccounts in the roleBinding", subjects(rbacv1.ServiceAccountKind))),
	}
}

func subjectNames(subjects []rbacv1.Subject, kind string) string {
	var names []string
	for _, s := range subjects {
		if s.Kind != kind {
			continue
		}
		name := s.Name
		if kind == rbacv1.ServiceAccountKind {
			name = s.Namespace + "/" + s.Name
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}
