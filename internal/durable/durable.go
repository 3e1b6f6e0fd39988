// Package durable writes files that outlive a loss of power.
package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/musterhq/muster/internal/failpoint"
)

// ReplaceFile writes a file of the given mode so that a crash, or a loss of
// power, leaves the old one or the new one. Its errors are those of package os.
func ReplaceFile(path string, content []byte, mode fs.FileMode) error {
	failpoint.Hit("durable/create")
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // gone already when all went well
	failpoint.Hit("durable/write")
	_, err = file.Write(content)
	failpoint.Hit("durable/written")
	if err := errors.Join(err, file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return err
	}
	failpoint.Hit("durable/synced")
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	failpoint.Hit("durable/renamed")
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	failpoint.Hit("durable/replaced")
	return nil
}

// SyncDir has a directory's entries on disk: a file that was made or renamed in
// it is there from now on.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
