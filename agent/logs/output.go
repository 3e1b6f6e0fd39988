package logs

import (
	"errors"
	"io"
)

// errLimit says that LimitBytes were written.
var errLimit = errors.New("limit reached")

// output filters entries and writes them as the container wrote them.
type output struct {
	w    io.Writer
	opts Options
	skip int64 // full lines still to be left out
	left int64 // bytes still to be written; below 0 for no limit
	// inside says that the last written entry was part of a longer line.
	inside bool
}

func (o *output) line(raw []byte) error {
	e, ok := parse(raw)
	if !ok {
		return nil // A torn line, as after a crash of the machine.
	}
	if o.skip > 0 {
		if !e.partial {
			o.skip--
		}
		return nil
	}
	if e.at.Before(o.opts.Since) {
		return nil
	}
	var buf []byte
	if o.opts.Timestamps && !o.inside {
		buf = append(append(buf, e.stamp...), ' ')
	}
	buf = append(buf, e.text...)
	if !e.partial {
		buf = append(buf, '\n')
	}
	o.inside = e.partial
	return o.write(buf)
}

func (o *output) write(b []byte) error {
	if o.left >= 0 {
		b = b[:min(int64(len(b)), o.left)]
		o.left -= int64(len(b))
	}
	if _, err := o.w.Write(b); err != nil {
		return err
	}
	if o.left == 0 {
		return errLimit
	}
	return nil
}
