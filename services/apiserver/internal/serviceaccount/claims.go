package serviceaccount

import (
	"time"

	"github.com/go-jose/go-jose/v4/jwt"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/musterhq/muster/internal/access"
)

// claims are what a token says, named as Kubernetes names it.
type claims struct {
	jwt.Claims
	Kubernetes bound `json:"kubernetes.io"`
}

// bound are the objects without which a token is none.
type bound struct {
	Namespace string           `json:"namespace,omitempty"`
	Account   ref              `json:"serviceaccount"`
	Pod       *ref             `json:"pod,omitempty"`
	Secret    *ref             `json:"secret,omitempty"`
	Node      *ref             `json:"node,omitempty"`
	WarnAfter *jwt.NumericDate `json:"warnafter,omitempty"`
}

type ref struct {
	Name string    `json:"name,omitempty"`
	UID  types.UID `json:"uid,omitempty"`
}

func refOf(obj metav1.Object) *ref { return &ref{Name: obj.GetName(), UID: obj.GetUID()} }

func username(namespace, name string) string {
	return access.ServiceAccountPrefix + namespace + ":" + name
}

// Lifetimes that mean more than they say: a pod's token that is asked for an hour and 7
// seconds is one that was mounted without being asked for. Programs that read it once
// keep working for a year, but are told on: Kubernetes counts such uses.
const (
	mountedLife  = 3607 * time.Second
	extendedLife = 365 * 24 * time.Hour
)

// newClaims makes the claims of a token that holds for life from now on.
func newClaims(issuer string, account *corev1.ServiceAccount, audiences []string, now time.Time, life time.Duration) *claims {
	return &claims{
		Claims: jwt.Claims{
			Issuer: issuer, Subject: username(account.Namespace, account.Name), Audience: audiences,
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(life)),
			ID: string(uuid.NewUUID()),
		},
		Kubernetes: bound{Namespace: account.Namespace, Account: *refOf(account)},
	}
}
