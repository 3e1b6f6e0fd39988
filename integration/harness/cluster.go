// Package harness runs clusters of real processes for tests and benchmarks, by
// the same commands that a user types.
package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Cluster is a `muster dev` cluster.
type Cluster struct {
	// Name of the cluster, as dev up --name takes it.
	Name string
	// Dir holds its data, logs and kubeconfig.
	Dir string
}

// Root is the repository's root directory.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Muster is the path of the binary under test, made by `make build`.
func Muster() string { return filepath.Join(Root(), "bin", "muster") }

// Up starts a cluster and loads the example images. dir must not exist yet.
func Up(ctx context.Context, name, dir string, servers, nodes int) (*Cluster, error) {
	c := &Cluster{Name: name, Dir: dir}
	_, err := Run(ctx, "", Muster(), "dev", "up", "--name", name, "--data-dir", dir,
		"--servers", fmt.Sprint(servers), "--nodes", fmt.Sprint(nodes))
	if err != nil {
		return c, err
	}
	return c, nil
}

// LoadImages puts the example images into the cluster's registry.
func (c *Cluster) LoadImages(ctx context.Context) error {
	archives, err := filepath.Glob(filepath.Join(Root(), "build", "images", "*.tar"))
	if err != nil || len(archives) == 0 {
		return fmt.Errorf("no image archives in build/images (make images): %w", err)
	}
	for _, a := range archives {
		if _, err := Run(ctx, "", Muster(), "image", "load", "--kubeconfig", c.Kubeconfig(), a); err != nil {
			return err
		}
	}
	return nil
}

// Kubeconfig is the admin's.
func (c *Cluster) Kubeconfig() string { return filepath.Join(c.Dir, "kubeconfig") }

// Dev runs `muster dev VERB ...` on the cluster.
func (c *Cluster) Dev(ctx context.Context, verb string, args ...string) (string, error) {
	all := append([]string{"dev", verb, "--name", c.Name, "--data-dir", c.Dir}, args...)
	return Run(ctx, "", Muster(), all...)
}

// Exec runs a command on a member.
func (c *Cluster) Exec(ctx context.Context, member string, command ...string) (string, error) {
	return c.Dev(ctx, "exec", append([]string{member, "--"}, command...)...)
}

// Kubectl runs a kubectl against the cluster.
func (c *Cluster) Kubectl(ctx context.Context, binary, stdin string, args ...string) (string, error) {
	return Run(ctx, stdin, binary, append([]string{"--kubeconfig", c.Kubeconfig()}, args...)...)
}

// Down ends the cluster.
func (c *Cluster) Down(ctx context.Context) error {
	_, err := c.Dev(ctx, "down")
	return err
}

// OwnKubectl is the kubectl that `make build` makes.
func OwnKubectl() string { return filepath.Join(Root(), "bin", "kubectl") }

// DebianKubectl is the one of Debian's package kubernetes-client, as
// scripts/debian-file unpacks it.
func DebianKubectl() string { return filepath.Join(Root(), "build", "debian", "usr", "bin", "kubectl") }

// Run runs a command to its end and returns what it printed, both streams
// together. A failure's error quotes it.
func Run(ctx context.Context, stdin, name string, args ...string) (string, error) {
	return run(exec.CommandContext(ctx, name, args...), stdin)
}

func run(cmd *exec.Cmd, stdin string) (string, error) {
	var out bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &out
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s %s: %w\n%s", filepath.Base(cmd.Path), strings.Join(cmd.Args[1:], " "), err, out.String())
	}
	return out.String(), nil
}

// Output runs a command and returns what it writes to its standard output, as a
// script would take it.
func Output(ctx context.Context, name string, args ...string) (string, error) {
	return output(exec.CommandContext(ctx, name, args...))
}

func output(cmd *exec.Cmd) (string, error) {
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	cmd.WaitDelay = 5 * time.Second
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s %s: %w\n%s", filepath.Base(cmd.Path), strings.Join(cmd.Args[1:], " "), err, complaints.String())
	}
	return string(out), nil
}

// Eventually calls f until it returns nil or the time is over, and returns f's
// last error.
func Eventually(ctx context.Context, within time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("not within %v: %w", within, err)
		}
	}
}

// RequireRoot says what is missing on this machine for real-process tests.
func RequireRoot() error {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, tool := range []string{"containerd", "runc", "ip", "nft", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	for _, file := range []string{Muster(), OwnKubectl(), DebianKubectl()} {
		if _, err := os.Stat(file); err != nil {
			missing = append(missing, file)
		}
	}
	if len(missing) > 0 {
		return errors.New("missing " + strings.Join(missing, ", ") + ": run make setup build as root")
	}
	return nil
}
