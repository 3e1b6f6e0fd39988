package logs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// ErrNoLog says that a container has not begun to run, or not as often as asked.
var ErrNoLog = errors.New("no log")

// Instance returns the log of a container's current instance, or of the one
// before, out of the directory that holds a file for each attempt.
func Instance(dir string, previous bool) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("look for logs: %w", err)
	}
	var attempts []int
	for _, e := range entries {
		if n, err := strconv.Atoi(strings.TrimSuffix(e.Name(), ".log")); err == nil && strings.HasSuffix(e.Name(), ".log") {
			attempts = append(attempts, n)
		}
	}
	sort.Sort(sort.Reverse(sort.IntSlice(attempts)))
	want := 0
	if previous {
		want = 1
	}
	if len(attempts) <= want {
		return "", ErrNoLog
	}
	return filepath.Join(dir, strconv.Itoa(attempts[want])+".log"), nil
}
