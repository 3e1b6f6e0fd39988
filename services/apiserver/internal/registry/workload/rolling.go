package workload

import (
	"strconv"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/musterhq/muster/services/apiserver/internal/registry/check"
)

// AtMostWhole refuses more than 100%.
func AtMostWhole(v intstr.IntOrString, path *field.Path) field.ErrorList {
	if v.Type == intstr.String && PercentOrInt(v) > 100 {
		return field.ErrorList{field.Invalid(path, v, "must not be greater than 100%")}
	}
	return nil
}

// OrZero is the value, or 0 where there is none.
func OrZero(v *intstr.IntOrString) intstr.IntOrString {
	if v == nil {
		return intstr.FromInt32(0)
	}
	return *v
}

// ValidateIntOrPercent checks a number that may be given as a percentage.
func ValidateIntOrPercent(v intstr.IntOrString, path *field.Path) field.ErrorList {
	if v.Type == intstr.String {
		return check.Invalid(path, v, validation.IsValidPercent(v.StrVal))
	}
	return apivalidation.ValidateNonnegativeField(int64(v.IntValue()), path)
}

// PercentOrInt is the number in front of the percent sign, or the number.
func PercentOrInt(v intstr.IntOrString) int {
	if v.Type == intstr.Int {
		return int(v.IntVal)
	}
	if len(validation.IsValidPercent(v.StrVal)) > 0 {
		return 0
	}
	n, err := strconv.Atoi(strings.TrimSuffix(v.StrVal, "%"))
	if err != nil {
		return 0
	}
	return n
}
