package muster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"syscall"

	"github.com/musterhq/muster/internal/heap"
	"github.com/musterhq/muster/internal/pki"
	"github.com/musterhq/muster/services/apiserver"
)

// pairName is what the files of a member's certificate are called.
const pairName = "server"

// memberConfig says which member a process is. It is the process's argument.
type memberConfig struct {
	Name, Dir, Address string
	Bootstrap, Profile bool
}

func (m memberConfig) argument() string {
	data, _ := json.Marshal(m) // strings and a bool do not fail
	return string(data)
}

// RunMember is the main function of a member's process: an apiserver as `muster
// server` runs it, with its log on disk and TLS on all connections, but at one
// address, so that several fit on a machine, and without a scheduler and a
// controller manager beside it, which etcd has not either. SIGTERM ends it,
// SIGUSR1 begins and ends a CPU profile, SIGUSR2 writes what its memory is for.
func RunMember(ctx context.Context, argument string) error {
	var m memberConfig
	if err := json.Unmarshal([]byte(argument), &m); err != nil {
		return fmt.Errorf("member: %w", err)
	}
	if !m.Profile { // the linker has `muster server` take no samples, since it shows none
		runtime.MemProfileRate = 0
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer stop()
	config, err := m.config()
	if err != nil {
		return err
	}
	return heap.During(ctx, func(ctx context.Context) error {
		api, err := apiserver.New(config)
		if err != nil {
			return err
		}
		go m.profile(ctx, config.Logger)
		go m.account(ctx, config.Logger)
		return api.Run(ctx)
	})
}

func (m memberConfig) config() (apiserver.Config, error) {
	config := apiserver.Config{
		Name: m.Name, DataDir: m.Dir, AdvertiseAddress: m.Address, ClusterID: clusterID, Bootstrap: m.Bootstrap,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	var err error
	if config.Authority, err = pki.LoadCA(m.Dir); err != nil {
		return config, err
	}
	file := func(suffix string) string { return filepath.Join(m.Dir, pairName+suffix) }
	if config.KeyPair, err = pki.LoadKeyPair(file(".crt"), file(".key"), filepath.Join(m.Dir, "ca.crt")); err != nil {
		return config, err
	}
	for port, listener := range map[int]*net.Listener{
		apiserver.PortREST: &config.RESTListener, apiserver.PortGRPC: &config.GRPCListener, apiserver.PortRaft: &config.RaftListener,
	} {
		if *listener, err = net.Listen("tcp", net.JoinHostPort(m.Address, strconv.Itoa(port))); err != nil {
			return config, err
		}
	}
	return config, nil
}

// profile writes the times between two signals each to a file of its own.
func (m memberConfig) profile(ctx context.Context, logger *slog.Logger) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGUSR1)
	for n := 1; ; n++ {
		if err := m.profileOnce(ctx, n, signals); err != nil {
			if !errors.Is(err, context.Canceled) {
				logger.Error("profile", "error", err)
			}
			return
		}
	}
}

func (m memberConfig) profileOnce(ctx context.Context, n int, signals <-chan os.Signal) error {
	wait := func() error {
		select {
		case <-signals:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := wait(); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(m.Dir, fmt.Sprintf("cpu-%03d.pprof", n)))
	if err != nil {
		return err
	}
	defer file.Close()
	if err := pprof.StartCPUProfile(file); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	return wait()
}
