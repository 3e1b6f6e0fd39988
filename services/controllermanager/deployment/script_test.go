package deployment_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/musterhq/muster/services/controllermanager/deployment"
)

var rewrite = flag.Bool("rewrite", false, "write what the scripts print into them, for review")

// TestScripts plays the text scripts of testdata. A script is blocks of a
// command line, "----" and what it prints.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { play(t, file) })
	}
}

func play(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var s *sim
	var out []string
	for _, block := range strings.Split(strings.TrimSpace(string(raw)), "\n\n") {
		head, want, _ := strings.Cut(block, "\n----")
		got := ""
		for line := range strings.Lines(head) {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			got += s.command(t, &s, strings.Fields(line))
		}
		out = append(out, head+"\n----\n"+got)
		if want = strings.TrimPrefix(want, "\n"); !*rewrite && strings.TrimSpace(got) != strings.TrimSpace(want) {
			t.Errorf("%s:\n%s\nprinted:\n%s\nwanted:\n%s", file, head, got, want)
		}
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(strings.Join(out, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *sim) command(t *testing.T, at **sim, words []string) string {
	args := map[string]string{}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		args[k] = v
	}
	switch words[0] {
	case "deploy":
		*at = newSim(t, number(t, args["replicas"]), intstr.Parse(args["surge"]), intstr.Parse(args["unavailable"]))
		(*at).apply(t, args)
	case "set":
		s.change(func(*appsv1.Deployment) { s.apply(t, args) })
	case "break":
		s.broken[words[1]] = true
	case "fix":
		delete(s.broken, words[1])
	case "step":
		return s.describe(s.decide())
	case "pods":
		s.create()
		return s.String() + "\n"
	case "ready":
		s.become(words[1], number(t, words[2]))
		return s.String() + "\n"
	case "settle":
		return strings.Join(s.settle(), "\n") + "\n"
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			t.Fatal(err)
		}
		s.now = s.now.Add(d)
	case "sets":
		return s.describeSets()
	case "status":
		return s.describeStatus()
	default:
		t.Fatalf("unknown command %q", words[0])
	}
	return ""
}

func (s *sim) apply(t *testing.T, args map[string]string) {
	for k, v := range args {
		switch k {
		case "image":
			s.d.Spec.Template.Spec.Containers[0].Image = v
		case "replicas":
			n := number(t, v)
			s.d.Spec.Replicas = &n
		case "paused":
			s.d.Spec.Paused = v == "true"
		case "history":
			n := number(t, v)
			s.d.Spec.RevisionHistoryLimit = &n
		case "strategy":
			s.d.Spec.Strategy = appsv1.DeploymentStrategy{Type: appsv1.DeploymentStrategyType(v)}
		case "surge", "unavailable":
		default:
			t.Fatalf("unknown argument %q", k)
		}
	}
}

func number(t *testing.T, s string) int32 {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	return int32(n)
}

// named replaces the sets' names by their images, so that scripts do not depend
// on hashes.
func (s *sim) named(text string) string {
	for _, rs := range s.sets {
		text = strings.ReplaceAll(text, rs.Name, "web-<"+imageOf(rs)+">")
	}
	return text
}

func (s *sim) describe(p deployment.Plan) string {
	out := s.String() + "\n"
	for _, e := range p.Events {
		out += fmt.Sprintf("  %s %s: %s\n", e.Type, e.Reason, e.Message)
	}
	for _, rs := range p.Delete {
		out += "  delete " + imageOf(rs) + "\n"
	}
	return s.named(out)
}

func (s *sim) describeSets() string {
	var out string
	for _, rs := range s.sets {
		a := rs.Annotations
		out += fmt.Sprintf("%s revision=%s history=%s desired=%s max=%s\n", imageOf(rs),
			a["deployment.kubernetes.io/revision"], a["deployment.kubernetes.io/revision-history"],
			a["deployment.kubernetes.io/desired-replicas"], a["deployment.kubernetes.io/max-replicas"])
	}
	return out
}

func (s *sim) describeStatus() string {
	st := s.d.Status
	out := fmt.Sprintf("revision=%s observed=%d/%d replicas=%d updated=%d ready=%d available=%d unavailable=%d\n",
		s.d.Annotations["deployment.kubernetes.io/revision"], st.ObservedGeneration, s.d.Generation,
		st.Replicas, st.UpdatedReplicas, st.ReadyReplicas, st.AvailableReplicas, st.UnavailableReplicas)
	for _, c := range st.Conditions {
		out += fmt.Sprintf("%s %s %s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	return s.named(out)
}
