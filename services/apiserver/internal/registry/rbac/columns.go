package rbac

import (
	"strings"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
)

// createdAtColumn is what is shown of kinds that have nothing else to show.
func createdAtColumn() registry.Column {
	return registry.Column{
		Name: "Created At", Type: "date",
		Description: metav1.ObjectMeta{}.SwaggerDoc()["creationTimestamp"],
		Value: func(obj registry.Object, _ time.Time) any {
			return obj.GetCreationTimestamp().UTC().Format(time.RFC3339)
		},
	}
}

func bindingColumns[T registry.Object](parts func(T) (rbacv1.RoleRef, []rbacv1.Subject)) []registry.Column {
	subjects := func(kind string) func(T) any {
		return func(obj T) any {
			_, all := parts(obj)
			return subjectNames(all, kind)
		}
	}
	doc := rbacv1.RoleBinding{}.SwaggerDoc()
	return []registry.Column{
		registry.ColumnOf("Role", "string", doc["roleRef"], func(obj T) any {
			ref, _ := parts(obj)
			return ref.Kind + "/" + ref.Name
		}),
		registry.Age(),
		registry.Wide(registry.ColumnOf("Users", "string", "Users in the roleBinding", subjects(rbacv1.UserKind))),
		registry.Wide(registry.ColumnOf("Groups", "string", "Groups in the roleBinding", subjects(rbacv1.GroupKind))),
		registry.Wide(registry.ColumnOf("ServiceAccounts", "string", "ServiceAccounts in the roleBinding", subjects(rbacv1.ServiceAccountKind))),
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
