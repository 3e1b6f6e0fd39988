package core

import (
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// Secret defines secrets.
func Secret() *registry.Kind {
	return registry.Define(corev1.SchemeGroupVersion, &corev1.SecretList{}, registry.Definition[*corev1.Secret]{
		Namespaced: true,

		Default:        defaultSecret,
		Validate:       validateSecret,
		ValidateUpdate: validateSecretUpdate,

		Fields: func(obj *corev1.Secret) fields.Set { return fields.Set{"type": string(obj.Type)} },
		Columns: []registry.Column{
			registry.ColumnOf("Type", "string", corev1.Secret{}.SwaggerDoc()["type"], func(obj *corev1.Secret) any { return string(obj.Type) }),
			registry.ColumnOf("Data", "string", corev1.Secret{}.SwaggerDoc()["data"], func(obj *corev1.Secret) any { return int64(len(obj.Data)) }),
			registry.Age(),
		},
	})
}

func defaultSecret(obj *corev1.Secret) {
	if obj.Type == "" {
		obj.Type = corev1.SecretTypeOpaque
	}
	// stringData is for writing only: it ends up in data and wins over it.
	for key, value := range obj.StringData {
		if obj.Data == nil {
			obj.Data = map[string][]byte{}
		}
		obj.Data[key] = []byte(value)
	}
	obj.StringData = nil
}

func validateSecret(obj *corev1.Secret) field.ErrorList {
	data := field.NewPath("data")
	errs, size := validateData("data", obj.Data)
	if size > corev1.MaxSecretSize {
		errs = append(errs, field.TooLong(data, "" /* unused */, corev1.MaxSecretSize))
	}
	return append(errs, validateSecretType(obj, data)...)
}

func validateSecretType(obj *corev1.Secret, data *field.Path) field.ErrorList {
	var errs field.ErrorList
	require := func(keys ...string) {
		for _, key := range keys {
			if _, ok := obj.Data[key]; !ok {
				errs = append(errs, field.Required(data.Key(key), ""))
			}
		}
	}
	requireJSON := func(key string) {
		require(key)
		if value, ok := obj.Data[key]; ok {
			if err := json.Unmarshal(value, &map[string]any{}); err != nil {
				errs = append(errs, field.Invalid(data.Key(key), "<secret contents redacted>", err.Error()))
			}
		}
	}
	switch obj.Type {
	case corev1.SecretTypeServiceAccountToken:
		if obj.Annotations[corev1.ServiceAccountNameKey] == "" {
			errs = append(errs, field.Required(field.NewPath("metadata", "annotations").Key(corev1.ServiceAccountNameKey), ""))
		}
	case corev1.SecretTypeDockercfg:
		requireJSON(corev1.DockerConfigKey)
	case corev1.SecretTypeDockerConfigJson:
		requireJSON(corev1.DockerConfigJsonKey)
	case corev1.SecretTypeBasicAuth:
		_, user := obj.Data[corev1.BasicAuthUsernameKey]
		_, password := obj.Data[corev1.BasicAuthPasswordKey]
		if !user && !password {
			require(corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
		}
	case corev1.SecretTypeSSHAuth:
		if len(obj.Data[corev1.SSHAuthPrivateKey]) == 0 {
			errs = append(errs, field.Required(data.Key(corev1.SSHAuthPrivateKey), ""))
		}
	case corev1.SecretTypeTLS:
		require(corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	return errs
}

func validateSecretUpdate(obj, old *corev1.Secret) field.ErrorList {
	errs := apivalidation.ValidateImmutableField(obj.Type, old.Type, field.NewPath("type"))
	if old.Immutable == nil || !*old.Immutable {
		return errs
	}
	if obj.Immutable == nil || !*obj.Immutable {
		errs = append(errs, field.Forbidden(field.NewPath("immutable"), immutableSet))
	}
	if !check.Equal(obj.Data, old.Data) {
		errs = append(errs, field.Forbidden(field.NewPath("data"), immutableSet))
	}
	return errs
}
