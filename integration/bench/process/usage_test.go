package process_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/bench/process"
)

// TestUsage looks at a process that works, and has memory, until it is ended.
func TestUsage(t *testing.T) {
	p := &process.Process{Args: []string{"sh", "-c", "while :; do :; done"}, Log: filepath.Join(t.TempDir(), "log")}
	if p.Used() != 0 {
		t.Errorf("before its start it used %v", p.Used())
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	defer p.Kill()
	for begin := time.Now(); p.Used() == 0; {
		if time.Since(begin) > 10*time.Second {
			t.Fatal("it works and uses no processor time")
		}
	}
	if bytes, err := p.Resident(); err != nil || bytes < 100<<10 || bytes > 100<<20 {
		t.Errorf("%d bytes resident, %v", bytes, err)
	}
	p.Kill()
	if _, err := p.Resident(); err == nil {
		t.Error("it has memory after its end")
	}
}
