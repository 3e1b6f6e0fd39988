package sdktest

import (
	"os"
	"path/filepath"

	"github.com/musterhq/muster/sdk"
)

// The environment of examples that are to run against a real server: its gRPC address,
// and a directory with ca.crt, admin.crt and admin.key.
const (
	ExampleServer = "MUSTER_EXAMPLE_SERVER"
	ExampleFiles  = "MUSTER_EXAMPLE_FILES"
)

// Connect returns a client for an example: of a cluster in this process or, if the
// environment names one, of a real one. It panics when it cannot, as examples do.
func Connect() (client *sdk.Client, end func()) {
	var cfg sdk.Config
	var stop func()
	if server := os.Getenv(ExampleServer); server != "" {
		dir := os.Getenv(ExampleFiles)
		tls, err := sdk.LoadTLS(filepath.Join(dir, "ca.crt"), filepath.Join(dir, "admin.crt"), filepath.Join(dir, "admin.key"))
		if err != nil {
			panic(err)
		}
		cfg, stop = sdk.Config{Servers: []string{server}, TLS: tls}, func() {}
	} else {
		cluster := Open()
		cfg, stop = sdk.Config{Servers: cluster.names(), Dialer: cluster.Dial}, cluster.Close
	}
	client, err := sdk.Dial(cfg)
	if err != nil {
		panic(err)
	}
	return client, func() {
		client.Close()
		stop()
	}
}
