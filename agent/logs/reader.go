// Package logs reads containers' logs in the CRI format, also while they grow
// and rotate.
package logs

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Options select part of a log, as PodLogOptions does.
type Options struct {
	Follow, Timestamps bool
	Since              time.Time
	// Tail is the number of lines from the end; nil means all.
	Tail *int64
	// LimitBytes ends the answer; nil means no limit.
	LimitBytes *int64
}

// pollInterval is how often a followed log is looked at. A file system can tell
// of changes itself, but inotify instances are scarce where nodes share a machine.
const pollInterval = 100 * time.Millisecond

// Read writes the selected part of the log to w. With Follow it returns when
// ended says that the container has ended and all of its log has been read;
// ended is asked before each look at the file.
func Read(ctx context.Context, path string, opts Options, ended func() bool, w io.Writer) error {
	out := &output{w: w, opts: opts, left: -1}
	if opts.LimitBytes != nil {
		out.left = *opts.LimitBytes
	}
	files, err := rotated(path)
	if err != nil {
		return err
	}
	start, err := begin(files, opts)
	if err != nil {
		return err
	}
	done := !opts.Follow || ended()
	err = catchUp(files, start, out)
	if err == nil && opts.Follow {
		err = follow(ctx, path, files[len(files)-1], done, ended, out)
	}
	for _, f := range files {
		f.Close()
	}
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// rotated opens the files of a log, oldest first. A rotation meanwhile moves
// names, never contents, so the same file found twice ends the search.
func rotated(path string) ([]*os.File, error) {
	names, err := filepath.Glob(path + ".*")
	if err != nil {
		return nil, err
	}
	newest := 0
	for _, name := range names {
		if n, err := strconv.Atoi(strings.TrimPrefix(name, path+".")); err == nil {
			newest = max(newest, n)
		}
	}
	var files []*os.File
	for i := newest; i >= 0; i-- {
		name := path
		if i > 0 {
			name = fmt.Sprintf("%s.%d", path, i)
		}
		f, err := os.Open(name)
		if errors.Is(err, os.ErrNotExist) && i > 0 {
			continue
		}
		if err != nil {
			for _, f := range files {
				f.Close()
			}
			return nil, fmt.Errorf("open log: %w", err)
		}
		if len(files) > 0 && same(files[len(files)-1], f) {
			f.Close()
			continue
		}
		files = append(files, f)
	}
	return files, nil
}

func same(a, b *os.File) bool {
	sa, errA := a.Stat()
	sb, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(sa, sb)
}

// begin counts the full lines to skip so that Tail lines are left; a last one without
// an end is one of these.
func begin(files []*os.File, opts Options) (skip int64, err error) {
	if opts.Tail == nil {
		return 0, nil
	}
	var total int64
	open := false
	for _, f := range files {
		r := bufio.NewReader(f)
		for {
			line, err := r.ReadBytes('\n')
			if e, ok := parse(line); ok {
				open = e.partial
				if !open {
					total++
				}
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return 0, fmt.Errorf("read log: %w", err)
			}
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return 0, err
		}
	}
	if open {
		total++
	}
	return max(0, total-*opts.Tail), nil
}

func catchUp(files []*os.File, skip int64, out *output) error {
	out.skip = skip
	for _, f := range files {
		if err := drain(f, out); err != nil {
			return err
		}
	}
	return nil
}

// drain writes what is in the file from its offset on and leaves the offset
// after the last whole line.
func drain(f *os.File, out *output) error {
	r := bufio.NewReaderSize(f, 64<<10)
	for {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			_, err := f.Seek(-int64(len(line)), io.SeekCurrent)
			return err
		}
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if err := out.line(line); err != nil {
			return err
		}
	}
}

func follow(ctx context.Context, path string, f *os.File, done bool, ended func() bool, out *output) error {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	opened := f
	defer func() {
		if opened != f {
			opened.Close()
		}
	}()
	for {
		if err := drain(opened, out); err != nil {
			return err
		}
		next, err := successor(path, opened)
		if err != nil {
			return err
		}
		if next != nil {
			// What was written between the last look and the rotation.
			if err := drain(opened, out); err != nil {
				return errors.Join(err, next.Close())
			}
			if opened != f {
				opened.Close()
			}
			opened = next
			continue
		}
		if done {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		done = ended()
	}
}

// successor opens the file that came after the opened one, if there is one.
func successor(path string, opened *os.File) (*os.File, error) {
	files, err := rotated(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // Between two renames, or the pod is gone; ended will tell.
	}
	if err != nil {
		return nil, err
	}
	var next *os.File
	for i, f := range files {
		if same(f, opened) && i+1 < len(files) {
			next = files[i+1]
		}
	}
	if next == nil && !same(files[len(files)-1], opened) {
		found := false
		for _, f := range files {
			found = found || same(f, opened)
		}
		if !found {
			next = files[0] // Rotated away entirely: go on with the oldest there is.
		}
	}
	for _, f := range files {
		if f != next {
			f.Close()
		}
	}
	return next, nil
}

// entry is one line of the CRI format.
type entry struct {
	stamp   []byte
	at      time.Time
	partial bool
	text    []byte
}

func parse(line []byte) (entry, bool) {
	line = bytes.TrimSuffix(line, []byte("\n"))
	parts := bytes.SplitN(line, []byte(" "), 4)
	if len(parts) < 3 || len(parts[2]) == 0 {
		return entry{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, string(parts[0]))
	if err != nil {
		return entry{}, false
	}
	e := entry{stamp: parts[0], at: at, partial: parts[2][0] == 'P'}
	if len(parts) == 4 {
		e.text = parts[3]
	}
	return e, true
}
