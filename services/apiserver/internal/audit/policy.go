// Package audit writes down who asked the API for what, and what became of it, in the
// format and by the policies of Kubernetes (audit.k8s.io/v1).
package audit

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"sigs.k8s.io/yaml"

	"github.com/musterhq/muster/services/apiserver/internal/auth"
)

var (
	levels = []auditv1.Level{auditv1.LevelNone, auditv1.LevelMetadata, auditv1.LevelRequest, auditv1.LevelRequestResponse}
	stages = []auditv1.Stage{auditv1.StageRequestReceived, auditv1.StageResponseStarted, auditv1.StageResponseComplete, auditv1.StagePanic}
)

// LoadPolicy reads a policy from a file. Fields that it does not know are an error: what
// should be written down and is not is noticed too late.
func LoadPolicy(file string) (*auditv1.Policy, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read audit policy: %w", err)
	}
	policy, err := readPolicy(text)
	if err != nil {
		return nil, fmt.Errorf("read audit policy %s: %w", file, err)
	}
	return policy, nil
}

func readPolicy(text []byte) (*auditv1.Policy, error) {
	policy := new(auditv1.Policy)
	if err := yaml.UnmarshalStrict(text, policy); err != nil {
		return nil, err
	}
	if policy.APIVersion != auditv1.SchemeGroupVersion.String() || policy.Kind != "Policy" {
		return nil, fmt.Errorf("it is a %q of %q, not a Policy of %q", policy.Kind, policy.APIVersion, auditv1.SchemeGroupVersion)
	}
	if err := validatePolicy(policy).ToAggregate(); err != nil {
		return nil, err
	}
	if len(policy.Rules) == 0 {
		return nil, errors.New("loaded illegal policy with 0 rules")
	}
	return policy, nil
}

func validatePolicy(policy *auditv1.Policy) field.ErrorList {
	errs := validateStages(policy.OmitStages, field.NewPath("omitStages"))
	for i := range policy.Rules {
		errs = append(errs, validateRule(&policy.Rules[i], field.NewPath("rules").Index(i))...)
	}
	return errs
}

func validateRule(rule *auditv1.PolicyRule, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if rule.Level == "" {
		errs = append(errs, field.Required(at.Child("level"), ""))
	} else if !slices.Contains(levels, rule.Level) {
		errs = append(errs, field.NotSupported(at.Child("level"), rule.Level, levels))
	}
	urls := at.Child("nonResourceURLs")
	for i, url := range rule.NonResourceURLs {
		if url != "*" && !strings.HasPrefix(url, "/") {
			errs = append(errs, field.Invalid(urls.Index(i), url, "non-resource URL rules must begin with a '/' character"))
		}
		if url != "" && strings.Contains(url[:len(url)-1], "*") {
			errs = append(errs, field.Invalid(urls.Index(i), url, "non-resource URL wildcards '*' must be the final character of the rule"))
		}
	}
	for _, resources := range rule.Resources {
		errs = append(errs, validateResources(resources, at.Child("resources"))...)
	}
	errs = append(errs, validateStages(rule.OmitStages, at.Child("omitStages"))...)
	if len(rule.NonResourceURLs) > 0 && (len(rule.Resources) > 0 || len(rule.Namespaces) > 0) {
		errs = append(errs, field.Invalid(urls, rule.NonResourceURLs, "rules cannot apply to both regular resources and non-resource URLs"))
	}
	return errs
}

func validateResources(resources auditv1.GroupResources, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if resources.Group != "" && resources.Group != "*" {
		if texts := apivalidation.NameIsDNSSubdomain(resources.Group, false); len(texts) > 0 {
			errs = append(errs, field.Invalid(at.Child("group"), resources.Group, strings.Join(texts, ",")))
		}
	}
	if len(resources.ResourceNames) > 0 && len(resources.Resources) == 0 {
		errs = append(errs, field.Invalid(at.Child("resourceNames"), resources.ResourceNames, "using resourceNames requires at least one resource"))
	}
	return errs
}

func validateStages(omit []auditv1.Stage, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, stage := range omit {
		if !slices.Contains(stages, stage) {
			names := make([]string, len(stages))
			for j, s := range stages {
				names[j] = string(s)
			}
			errs = append(errs, field.Invalid(at.Index(i), string(stage), "allowed stages are "+strings.Join(names, ",")))
		}
	}
	return errs
}

// config is what is written down of a request.
type config struct {
	level      auditv1.Level
	omitStages []auditv1.Stage
	omitFields bool // metadata.managedFields
}

// configOf returns what the first rule that matches the request says.
func configOf(policy *auditv1.Policy, r *auth.Request) config {
	for i := range policy.Rules {
		rule := &policy.Rules[i]
		if !matches(rule, r) {
			continue
		}
		c := config{level: rule.Level, omitStages: slices.Concat(policy.OmitStages, rule.OmitStages), omitFields: policy.OmitManagedFields}
		if rule.OmitManagedFields != nil {
			c.omitFields = *rule.OmitManagedFields
		}
		return c
	}
	return config{level: auditv1.LevelNone}
}

func matches(rule *auditv1.PolicyRule, r *auth.Request) bool {
	if len(rule.Users) > 0 && !slices.Contains(rule.Users, r.User.Name) {
		return false
	}
	if len(rule.UserGroups) > 0 && !slices.ContainsFunc(r.User.Groups, func(g string) bool { return slices.Contains(rule.UserGroups, g) }) {
		return false
	}
	if len(rule.Verbs) > 0 && !slices.Contains(rule.Verbs, r.Verb) {
		return false
	}
	switch {
	case len(rule.Namespaces) > 0 || len(rule.Resources) > 0:
		return r.Path == "" && matchesResource(rule, r)
	case len(rule.NonResourceURLs) > 0:
		return r.Path != "" && slices.ContainsFunc(rule.NonResourceURLs, func(url string) bool {
			return url == r.Path || strings.HasSuffix(url, "*") && strings.HasPrefix(r.Path, strings.TrimRight(url, "*"))
		})
	}
	return true
}

func matchesResource(rule *auditv1.PolicyRule, r *auth.Request) bool {
	if len(rule.Namespaces) > 0 && !slices.Contains(rule.Namespaces, r.Namespace) {
		return false
	}
	return len(rule.Resources) == 0 || slices.ContainsFunc(rule.Resources, func(g auditv1.GroupResources) bool {
		if g.Group != r.Resource.Group && g.Group != "*" {
			return false
		}
		if len(g.Resources) == 0 {
			return true
		}
		if len(g.ResourceNames) > 0 && !slices.Contains(g.ResourceNames, r.Name) {
			return false
		}
		return slices.ContainsFunc(g.Resources, func(named string) bool { return covers(named, r.Resource.Resource, r.Subresource) })
	})
}

// covers tells whether a rule's name of resources ("pods", "pods/log", "pods/*",
// "*/status", "*") means the resource.
func covers(named, resource, sub string) bool {
	of, part, divided := strings.Cut(named, "/")
	switch {
	case named == "*":
		return true
	case !divided:
		return named == resource && sub == ""
	case part == "*":
		return of == resource
	}
	return part == sub && (of == resource || of == "*")
}
