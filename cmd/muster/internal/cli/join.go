package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/internal/join"
)

// joinFlags name a join token: on the command line, where everybody on the
// machine can read it, or in a file.
type joinFlags struct{ token, file string }

func (f *joinFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.token, "join", "", "`TOKEN` of the cluster to join, from muster token create; not needed again after that")
	c.Flags().StringVar(&f.file, "join-file", "", "`FILE` that holds the token; it may be gone once the identity is in the data directory")
}

// read returns the token, "" when none is given. An empty one is refused
// (`--join "$TOKEN"` where the variable is not set): without a token a server
// would form a cluster of its own.
func (f *joinFlags) read(c *cobra.Command, dataDir string) (string, error) {
	inFile, inLine := c.Flags().Changed("join-file"), c.Flags().Changed("join")
	switch {
	case inFile && inLine:
		return "", usageError{errors.New("--join and --join-file: give one of them")}
	case inLine && strings.TrimSpace(f.token) == "":
		return "", usageError{errors.New("--join: the token is empty")}
	case !inFile:
		return f.token, nil
	}
	content, err := os.ReadFile(f.file)
	if errors.Is(err, fs.ErrNotExist) {
		// A token is for joining. Who has joined may throw it away.
		if member, memberErr := join.IsMember(dataDir); member || memberErr != nil {
			return "", memberErr
		}
	}
	if err != nil {
		return "", fmt.Errorf("--join-file: %w: `muster token create --out-dir DIR` writes such a file", err)
	}
	if strings.TrimSpace(string(content)) == "" {
		return "", fmt.Errorf("--join-file: %s is empty", f.file)
	}
	return string(content), nil
}
