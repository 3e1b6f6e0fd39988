package pod

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// resync finds what is on the node and in no list, once all pods are known.
func (m *Manager) resync(ctx context.Context) error {
	select {
	case <-m.synced:
	case <-ctx.Done():
		return ctx.Err()
	}
	for wait := time.Duration(0); ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = resyncInterval
		if err := m.findOrphans(ctx); err != nil {
			m.cfg.Logger.Warn("look for orphaned pods", "error", err)
			wait = 2 * time.Second
		}
		m.wakeAll()
	}
}

func (m *Manager) findOrphans(ctx context.Context) error {
	pods, err := m.cfg.Runtime.Pods(ctx)
	if err != nil {
		return err
	}
	var uids []string
	for _, p := range pods {
		uids = append(uids, p.Sandbox.PodUID)
	}
	for _, dir := range []string{m.cfg.Dir, m.cfg.LogDir} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			name := e.Name()
			uids = append(uids, name[strings.LastIndexByte(name, '_')+1:])
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, uid := range uids {
		if _, ok := m.workers[uid]; !ok {
			if w := m.worker(uid); w != nil {
				m.cfg.Logger.Info("removing a pod the cluster does not know", "uid", uid)
				w.vanish()
			}
		}
	}
	return nil
}

// LogDir is where a container's logs are: files named by attempt.
func LogDir(base, namespace, name, uid, container string) string {
	return filepath.Join(base, namespace+"_"+name+"_"+uid, container)
}
