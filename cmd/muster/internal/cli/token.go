package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	"github.com/musterhq/muster/internal/durable"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

// joinRoles are what a token can let in.
var joinRoles = map[string]clusterv1.CertificateRole{
	"node":               clusterv1.CertificateRole_CERTIFICATE_ROLE_NODE,
	"server":             clusterv1.CertificateRole_CERTIFICATE_ROLE_SERVER,
	"scheduler":          clusterv1.CertificateRole_CERTIFICATE_ROLE_SCHEDULER,
	"controller-manager": clusterv1.CertificateRole_CERTIFICATE_ROLE_CONTROLLER_MANAGER,
}

// tokenFile is the name of a token's file.
const tokenFile = "token"

func newToken() *cobra.Command {
	c := &cobra.Command{Use: "token", Short: "Let machines join, and people and programs in"}
	c.AddCommand(newTokenCreate(), newTokenUser())
	return c
}

func newTokenCreate() *cobra.Command {
	var flags accessFlags
	var ttl time.Duration
	var roles []string
	var dir string
	c := &cobra.Command{
		Use:   "create",
		Short: "Print a join token: all that a new machine needs",
		Long: `Print a join token: all that a new machine needs. It lets in machines of the
roles given, however many, until it expires, and gives each the certificate of
its role: one for schedulers makes schedulers and nothing else. One for servers
is as good as the cluster's CA, which every server holds.`,
		Example: `  muster token create --ttl 1h --role node
  muster agent --join TOKEN            on the new machine
  muster server --join TOKEN           for a further server
  muster token create --role node --role scheduler --out-dir tokens
  muster scheduler --join-file tokens/scheduler/token`,
		Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			wanted, err := certificateRoles(roles)
			if err != nil {
				return err
			}
			if dir != "" && len(wanted) == 0 {
				return usageError{errors.New("--out-dir: say for which roles, with --role")}
			}
			return flags.call(c.Context(), func(ctx context.Context, cluster clusterv1.ClusterServiceClient, _ kubeconfig.Access) error {
				ctx, cancel := context.WithTimeout(ctx, answerTimeout)
				defer cancel()
				maker := tokenMaker{cluster: cluster, ttl: ttl, c: c}
				if dir != "" {
					return maker.write(ctx, dir, roles, wanted)
				}
				return maker.print(ctx, wanted)
			})
		},
	}
	flags.add(c)
	c.Flags().DurationVar(&ttl, "ttl", 24*time.Hour, "how long it can be used")
	c.Flags().StringSliceVar(&roles, "role", nil, "what it lets in: node, server, scheduler, controller-manager (default the first two)")
	c.Flags().StringVar(&dir, "out-dir", "", "write a token for each role to `DIR`/ROLE/token, for --join-file, and print none")
	return c
}

func certificateRoles(names []string) ([]clusterv1.CertificateRole, error) {
	var out []clusterv1.CertificateRole
	for _, name := range names {
		role, ok := joinRoles[name]
		if !ok {
			return nil, usageError{fmt.Errorf("role %q: choose node, server, scheduler or controller-manager", name)}
		}
		out = append(out, role)
	}
	return out, nil
}

// tokenMaker has the cluster make tokens.
type tokenMaker struct {
	cluster clusterv1.ClusterServiceClient
	ttl     time.Duration
	c       *cobra.Command
}

func (m tokenMaker) make(ctx context.Context, roles []clusterv1.CertificateRole) (*clusterv1.CreateTokenResponse, error) {
	response, err := m.cluster.CreateToken(ctx, &clusterv1.CreateTokenRequest{Roles: roles, TtlSeconds: int64(m.ttl / time.Second)})
	if err != nil {
		return nil, worded("create token", err)
	}
	return response, nil
}

func (m tokenMaker) print(ctx context.Context, roles []clusterv1.CertificateRole) error {
	made, err := m.make(ctx, roles)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(m.c.ErrOrStderr(), "# expires %s\n", made.GetExpires().AsTime().Local().Format(time.RFC1123))
	_, err = fmt.Fprintln(m.c.OutOrStdout(), made.GetToken())
	return err
}

// write makes a token for each role, in a file that only its owner reads, and in a
// directory of its own, which can be handed to those of the role and nobody else.
func (m tokenMaker) write(ctx context.Context, dir string, names []string, roles []clusterv1.CertificateRole) error {
	for i, role := range roles {
		made, err := m.make(ctx, []clusterv1.CertificateRole{role})
		if err != nil {
			return err
		}
		path := filepath.Join(dir, names[i], tokenFile)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("--out-dir: %w", err)
		}
		if err := durable.ReplaceFile(path, []byte(made.GetToken()+"\n"), 0o600); err != nil {
			return fmt.Errorf("write token: %w", err)
		}
		_, _ = fmt.Fprintf(m.c.ErrOrStderr(), "%s  expires %s\n", path, made.GetExpires().AsTime().Local().Format(time.RFC1123))
	}
	return nil
}
