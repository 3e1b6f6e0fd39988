package volume

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The names that Kubernetes gives the current generation of a volume's files.
const (
	dataLink    = "..data"
	newDataLink = "..data_tmp"
)

// writeFiles puts files where containers see them change in one step: they live
// in a directory of their own, a link leads to the current one.
func writeFiles(dir string, group *int64, files []file) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if upToDate(dir, files) {
		return nil
	}
	old, _ := os.Readlink(filepath.Join(dir, dataLink))
	fresh, err := os.MkdirTemp(dir, "..data-")
	if err != nil {
		return err
	}
	if err := os.Chmod(fresh, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		if err := writeFile(filepath.Join(fresh, f.path), f, group); err != nil {
			return err
		}
	}
	tmp := filepath.Join(dir, newDataLink)
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Base(fresh), tmp); err != nil {
		return err
	}
	if err := os.Rename(tmp, filepath.Join(dir, dataLink)); err != nil {
		return err
	}
	if err := linkNames(dir, files); err != nil {
		return err
	}
	if old == "" {
		return nil
	}
	return os.RemoveAll(filepath.Join(dir, old))
}

func upToDate(dir string, files []file) bool {
	if _, err := os.Readlink(filepath.Join(dir, dataLink)); err != nil {
		return false
	}
	names := 0
	err := filepath.WalkDir(filepath.Join(dir, dataLink)+"/", func(_ string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			names++
		}
		return err
	})
	if err != nil || names != len(files) {
		return false
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, dataLink, f.path))
		if err != nil || !bytes.Equal(b, f.data) {
			return false
		}
	}
	return true
}

func writeFile(name string, f file, group *int64) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	mode := os.FileMode(f.mode) & os.ModePerm
	if group != nil {
		mode |= (mode & 0o400) >> 3 // The group may read what the owner may.
	}
	if err := os.WriteFile(name, f.data, mode); err != nil {
		return err
	}
	if err := chown(name, f.owner, group); err != nil {
		return err
	}
	return os.Chmod(name, mode)
}

// chown gives a file to a user and a group; nil is whoever it belongs to.
func chown(name string, user, group *int64) error {
	if user == nil && group == nil {
		return nil
	}
	uid, gid := -1, -1
	if user != nil {
		uid = int(*user)
	}
	if group != nil {
		gid = int(*group)
	}
	return os.Chown(name, uid, gid)
}

// linkNames makes the volume's visible names lead into the current generation
// and removes those that lead nowhere any more.
func linkNames(dir string, files []file) error {
	want := map[string]bool{}
	for _, f := range files {
		top, _, _ := strings.Cut(f.path, "/")
		want[top] = true
	}
	for top := range want {
		err := os.Symlink(filepath.Join(dataLink, top), filepath.Join(dir, top))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "..") && !want[e.Name()] {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return fmt.Errorf("remove stale file: %w", err)
			}
		}
	}
	return nil
}
