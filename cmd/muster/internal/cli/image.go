package cli

import (
	"context"
	"errors"
	"net/http"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/spf13/cobra"

	"github.com/musterhq/muster/cmd/muster/internal/imageload"
	"github.com/musterhq/muster/cmd/muster/internal/imagepack"
	"github.com/musterhq/muster/cmd/muster/internal/kubeconfig"
	"github.com/musterhq/muster/internal/pki"
	clusterv1 "github.com/musterhq/muster/proto/muster/cluster/v1"
)

func newImage() *cobra.Command {
	c := &cobra.Command{Use: "image", Short: "Give the cluster images without a registry"}
	c.AddCommand(newImageLoad(), newImagePack())
	return c
}

func newImageLoad() *cobra.Command {
	var flags accessFlags
	c := &cobra.Command{
		Use:   "load FILE.tar...",
		Short: "Put the images of OCI or docker archives into the cluster's own registry",
		Long: `Put the images of OCI or docker archives into the registry that the cluster
serves itself. Nodes look there before they ask an image's own registry, so the
images can be used under their own names, with every pull policy.`,
		Example: `  docker save -o app.tar app:v1 && muster image load app.tar`,
		Args:    minArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return flags.call(c.Context(), func(ctx context.Context, cluster clusterv1.ClusterServiceClient, access kubeconfig.Access) error {
				targets, err := imageTargets(ctx, cluster, access)
				if err != nil {
					return err
				}
				for _, path := range args {
					if err := imageload.Load(ctx, path, targets, c.OutOrStdout()); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	flags.add(c)
	return c
}

func newImagePack() *cobra.Command {
	spec := imagepack.Spec{Platform: v1.Platform{OS: "linux", Architecture: runtime.GOARCH}}
	var output string
	c := &cobra.Command{
		Use:     "pack",
		Short:   "Make an image archive of a few files, without a container tool",
		Example: `  muster image pack --image app:v1 --file ./app:/app --entrypoint /app --output app.tar`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if spec.Name == "" || len(spec.Files) == 0 && spec.Base == "" {
				return usageError{errors.New("an image needs a name (--image) and something in it (--file or --base)")}
			}
			return imagepack.Write(spec, output)
		},
	}
	f := c.Flags()
	f.StringVar(&spec.Name, "image", "", "name and tag of the image")
	f.StringVar(&spec.Base, "base", "", "root file system (tar or tar.gz) to put the files on, as debootstrap and mmdebstrap make one")
	f.StringArrayVar(&spec.Files, "file", nil, "file to put in, SOURCE:/TARGET")
	f.StringArrayVar(&spec.Links, "link", nil, "symbolic link to put in, /LINK=TARGET")
	f.StringArrayVar(&spec.Dirs, "dir", nil, "directory to make, writable by all")
	f.StringArrayVar(&spec.Entrypoint, "entrypoint", nil, "program and arguments, one each")
	f.StringArrayVar(&spec.Command, "command", nil, "default arguments, one each")
	f.StringArrayVar(&spec.Env, "env", nil, "environment, KEY=VALUE")
	f.StringVarP(&output, "output", "o", "image.tar", "archive to write")
	return c
}

func imageTargets(ctx context.Context, cluster clusterv1.ClusterServiceClient, access kubeconfig.Access) ([]imageload.Target, error) {
	members, err := listMembers(ctx, cluster, false)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: access.KeyPair.PeerTLS(pki.IsServer), ForceAttemptHTTP2: true}}
	var out []imageload.Target
	for _, m := range members.GetMembers() {
		if m.GetRestAddress() != "" {
			out = append(out, imageload.Target{Name: m.GetId(), URL: "https://" + m.GetRestAddress(), Client: client})
		}
	}
	return out, nil
}
