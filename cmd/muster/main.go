// Command muster is every role of the cluster, and what looks after it.
package main

import (
	"os"

	"github.com/musterhq/muster/cmd/muster/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr)) }
