package registry

import (
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func validateDeployment(obj *appsv1.Deployment) field.ErrorList                  { return nil }
func validateDeploymentUpdate(obj, old *appsv1.Deployment) field.ErrorList       { return nil }
func validateDeploymentStatusUpdate(obj, old *appsv1.Deployment) field.ErrorList { return nil }
func validateReplicaSet(obj *appsv1.ReplicaSet) field.ErrorList                  { return nil }
func validateReplicaSetUpdate(obj, old *appsv1.ReplicaSet) field.ErrorList       { return nil }
func validateReplicaSetStatusUpdate(obj, old *appsv1.ReplicaSet) field.ErrorList { return nil }
