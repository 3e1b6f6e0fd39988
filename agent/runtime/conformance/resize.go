package conformance

import (
	"errors"
	"testing"

	"github.com/musterhq/muster/agent/runtime"
)

// resized changes limits both ways. That the kernel knows is for the tests of each
// runtime to see.
func resized(t *testing.T, s *suite) {
	small := runtime.Resources{CPUShares: 102, CPUQuotaUS: 20_000, MemoryBytes: 64 << 20}
	large := runtime.Resources{CPUShares: 204, CPUQuotaUS: 40_000, MemoryBytes: 128 << 20}
	s.sandbox()
	cfg := s.config(0, "serve")
	cfg.Resources, cfg.Requirements = small, "small"
	c := s.start(cfg)
	if c.Requirements != "small" {
		t.Errorf("made with requirements %q", c.Requirements)
	}
	for _, step := range []struct {
		to   runtime.Resources
		name string
	}{{large, "large"}, {small, "small again"}} {
		if err := s.Runtime.ResizeSandbox(t.Context(), uid, large); err != nil {
			t.Fatal(err)
		}
		if err := s.Runtime.Resize(t.Context(), uid, c.ID, step.to, step.name); err != nil {
			t.Fatal(err)
		}
		if got := s.container(c.ID); got.State != runtime.Running || got.Pid != c.Pid || got.Requirements != step.name {
			t.Errorf("%s: container is %+v", step.name, got)
		}
	}
	pod, err := s.Runtime.Pod(t.Context(), uid)
	if err != nil || pod.Sandbox.Resources != large {
		t.Errorf("sandbox has %+v, %v, want %+v", pod.Sandbox.Resources, err, large)
	}
	whole, each, err := s.Runtime.Usage(t.Context(), uid)
	if one, told := each[c.ID]; err != nil || !told || whole.Memory < one.Memory || whole.CPU < one.CPU || one.WorkingSet > one.Memory {
		t.Errorf("the pod uses %+v, its containers %+v, %v", whole, each, err)
	}
	err = s.Runtime.Resize(t.Context(), uid, "nosuch", small, "")
	if !errors.Is(err, runtime.ErrNotFound) {
		t.Errorf("resize a container that is not there: %v", err)
	}
	s.removeSandbox()
}
