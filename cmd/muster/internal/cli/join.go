package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/musterhq/muster/internal/join"
)

const (
	// fileTimeout is how long a token's file may take to appear, filePause how often
	// one looks.
	fileTimeout = 5 * time.Minute
	filePause   = 200 * time.Millisecond
)

// joinFlags name a join token: on the command line, where everybody on the
// machine can read it, or in a file.
type joinFlags struct{ token, file string }

func (f *joinFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.token, "join", "", "`TOKEN` of the cluster to join, from muster token create; not needed again after that")
	c.Flags().StringVar(&f.file, "join-file", "", "`FILE` that holds the token, or soon will; not needed once the identity is in the data directory")
}

// read returns the token, "" when none is given. An empty one is refused
// (`--join "$TOKEN"` where the variable is not set): without a token a server
// would form a cluster of its own.
func (f *joinFlags) read(c *cobra.Command, logger *slog.Logger, dataDir string) (string, error) {
	inFile, inLine := c.Flags().Changed("join-file"), c.Flags().Changed("join")
	switch {
	case inFile && inLine:
		return "", usageError{errors.New("--join and --join-file: give one of them")}
	case inLine && strings.TrimSpace(f.token) == "":
		return "", usageError{errors.New("--join: the token is empty")}
	case !inFile:
		return f.token, nil
	}
	return f.wait(c.Context(), logger, dataDir)
}

// wait reads the file once it is there: what starts together with the server that
// makes the tokens comes before them. Who has joined needs none.
func (f *joinFlags) wait(ctx context.Context, logger *slog.Logger, dataDir string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, fileTimeout)
	defer cancel()
	for said := false; ; said = true {
		content, err := os.ReadFile(f.file)
		if err == nil && strings.TrimSpace(string(content)) == "" {
			err = fmt.Errorf("%s is empty", f.file)
		}
		if err == nil {
			return string(content), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("--join-file: %w", err)
		}
		if member, err := join.IsMember(dataDir); member || err != nil {
			return "", err
		}
		if _, missing := os.Stat(filepath.Dir(f.file)); missing != nil || ctx.Err() != nil {
			return "", fmt.Errorf("--join-file: %w: `muster token create --out-dir DIR` writes such a file", err)
		}
		if !said {
			logger.Info("waiting until the token's file is there", "file", f.file)
		}
		select {
		case <-ctx.Done():
		case <-time.After(filePause):
		}
	}
}
