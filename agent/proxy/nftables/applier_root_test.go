//go:build root

package nftables_test

import (
	"log/slog"
	"testing"

	kernel "github.com/google/nftables"
	"github.com/musterhq/muster/agent/proxy"
	"github.com/musterhq/muster/agent/proxy/conformance"
	"github.com/musterhq/muster/agent/proxy/nftables"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Suite{
		New: func() (proxy.Applier, error) {
			return nftables.New(nftables.Config{Logger: slog.New(slog.DiscardHandler)})
		},
		Sabotage: func() error {
			conn, err := kernel.New()
			if err != nil {
				return err
			}
			conn.FlushTable(&kernel.Table{Name: "muster-proxy", Family: kernel.TableFamilyIPv4})
			return conn.Flush()
		},
		Foreign: func() error {
			conn, err := kernel.New()
			if err != nil {
				return err
			}
			conn.AddTable(&kernel.Table{Name: "foreign", Family: kernel.TableFamilyIPv4})
			return conn.Flush()
		},
		Leftovers: func() ([]string, error) {
			conn, err := kernel.New()
			if err != nil {
				return nil, err
			}
			tables, err := conn.ListTables()
			var names []string
			for _, t := range tables {
				if t.Name != "muster-network" {
					names = append(names, t.Name)
				}
			}
			return names, err
		},
	})
}
