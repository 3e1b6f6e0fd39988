package harness

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Compose is the cluster of containers of deploy/compose. A machine has one.
type Compose struct {
	engine string // DOCKER_HOST; empty for the one that docker finds by itself
}

func composeScript(name string) string { return filepath.Join(Root(), "deploy", "compose", name) }

// composeKubeconfig is there from up to down.
func composeKubeconfig() string { return filepath.Join(Root(), "build", "compose", "kubeconfig") }

// ComposeIsUp says whether somebody has started the cluster.
func ComposeIsUp() bool {
	_, err := os.Stat(composeKubeconfig())
	return err == nil
}

// UpCompose starts the cluster, says on progress how far it is, and returns when it is
// ready. Down must follow, also after an error.
func UpCompose(ctx context.Context, progress io.Writer) (*Compose, error) {
	c := &Compose{}
	var said bytes.Buffer
	up := exec.CommandContext(ctx, composeScript("up"))
	up.Stdout = io.MultiWriter(progress, &said)
	up.Stderr = up.Stdout
	up.WaitDelay = 5 * time.Second
	if err := up.Run(); err != nil {
		return c, fmt.Errorf("start the cluster of containers: %w\n%s", err, said.String())
	}
	address, err := Output(ctx, composeScript("engine"), "address")
	c.engine = strings.TrimSpace(address)
	return c, err
}

// Down removes it, and what was started for it.
func (c *Compose) Down(ctx context.Context) error {
	_, err := Run(ctx, "", composeScript("down"))
	return err
}

// Container is that of a member.
func Container(member string) string { return "muster-" + member }

// Docker runs a docker command.
func (c *Compose) Docker(ctx context.Context, args ...string) (string, error) {
	return Output(ctx, "docker", c.at(args)...)
}

// Logs are what a member has written, both streams.
func (c *Compose) Logs(ctx context.Context, member string) (string, error) {
	return Run(ctx, "", "docker", c.at([]string{"logs", Container(member)})...)
}

func (c *Compose) at(args []string) []string {
	if c.engine == "" {
		return args
	}
	return append([]string{"--host", c.engine}, args...)
}

// Kubeconfig is the administrator's, for this machine.
func (c *Compose) Kubeconfig() string { return composeKubeconfig() }

// Kubectl runs our own kubectl from this machine.
func (c *Compose) Kubectl(ctx context.Context, args ...string) (string, error) {
	return Run(ctx, "", OwnKubectl(), append([]string{"--kubeconfig", c.Kubeconfig()}, args...)...)
}

// Muster runs a command of muster from this machine.
func (c *Compose) Muster(ctx context.Context, args ...string) (string, error) {
	return Run(ctx, "", Muster(), append(args, "--kubeconfig", c.Kubeconfig())...)
}
