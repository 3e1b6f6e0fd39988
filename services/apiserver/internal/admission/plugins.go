package admission

// workloads are the kinds that make pods of a template.
var workloads = []string{
	"podtemplates", "replicationcontrollers", "deployments.apps", "replicasets.apps", "statefulsets.apps",
	"daemonsets.apps", "jobs.batch", "cronjobs.batch",
}

// plugins lists the rules in the order in which Kubernetes asks them. Namespaces that
// are missing or end (NamespaceLifecycle), quotas (ResourceQuota) and the tolerations
// for nodes that are not ready (DefaultTolerationSeconds) are elsewhere: the first two
// in objects, since they are about the transaction, the third is a default of pods.
func plugins(o Options) []plugin {
	accounts := serviceAccounts{tokenVolume: o.TokenVolume}
	security := newPodSecurity()
	return []plugin{
		{name: "LimitRanger", on: []string{"pods", "pods/resize", "persistentvolumeclaims"}, admit: defaultLimits, check: checkLimits},
		{name: "ServiceAccount", on: []string{"pods", "pods/ephemeralcontainers"}, admit: accounts.admit, check: accounts.check},
		{name: "TaintNodesByCondition", on: []string{"nodes"}, admit: taintNew},
		{name: "PodSecurity", on: []string{"namespaces"}, check: security.checkNamespace},
		{name: "PodSecurity", on: []string{"pods", "pods/ephemeralcontainers"}, check: security.checkPod},
		{name: "PodSecurity", on: workloads, check: security.checkTemplate},
		{name: "Priority", on: []string{"pods"}, admit: podPriority},
		{name: "DefaultStorageClass", on: []string{"persistentvolumeclaims"}, admit: defaultStorageClass},
		{name: "CertificateSubjectRestriction", on: []string{"certificatesigningrequests.certificates.k8s.io"}, check: restrictSubject},
		{name: "DefaultIngressClass", on: []string{"ingresses.networking.k8s.io"}, admit: defaultIngressClass},
		{name: "RuntimeClass", on: []string{"pods"}, admit: runtimeClass, check: checkOverhead},
		{name: "PodResizeValidator", on: []string{"pods/resize"}, check: fitsNode},
	}
}
