package rest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"sigs.k8s.io/yaml"
)

// gzipFrom is the size from which an answer is compressed, as Kubernetes does. A
// body that is as long is sent in pieces, too: the server never holds more of it.
const gzipFrom = 128 << 10 // bytes

// body is what an answer holds, on its way to the client. Who writes it appends to
// the buffer and calls next from time to time, and close at the end.
type body struct {
	w      http.ResponseWriter
	r      *http.Request
	code   int
	form   form
	buffer []byte
	pooled *[]byte // where the buffer goes when it is free
	begun  bool
	failed bool         // a write did, and what it was given may still be on its way
	zip    *gzip.Writer // nil if it is not compressed
}

var buffers = sync.Pool{New: func() any { return new(make([]byte, 0, gzipFrom+gzipFrom/4)) }}

func newBody(w http.ResponseWriter, r *http.Request, code int, f form) *body {
	pooled := buffers.Get().(*[]byte)
	return &body{w: w, r: r, code: code, form: f, buffer: (*pooled)[:0], pooled: pooled}
}

// free gives back what the next answer may use; body is not to be used any more. A
// write to a stream that the client gave up returns before HTTP/2 has let go of the
// bytes, so these are nobody else's then.
func (b *body) free() {
	if b.failed {
		return
	}
	if cap(b.buffer) <= 4*gzipFrom { // others are rare, and would be kept for long
		*b.pooled = b.buffer
		buffers.Put(b.pooled)
	}
	if b.zip != nil {
		b.zip.Reset(nil)
		gzips.Put(b.zip)
	}
}

// next sends what was written, if that is enough to be sent.
func (b *body) next() error {
	if len(b.buffer) < gzipFrom || b.whole() {
		return nil
	}
	if !b.begun {
		b.begin(true)
	}
	return b.send()
}

// whole tells whether the form can be made of all of the body only.
func (b *body) whole() bool {
	return b.form.media == typeYAML || b.form.media == typeJSON && b.form.pretty
}

// close sends the rest.
func (b *body) close() error {
	if err := b.shape(); err != nil {
		return err
	}
	if b.form.media == typeJSON {
		b.buffer = append(b.buffer, '\n')
	}
	if !b.begun {
		b.begin(len(b.buffer) >= gzipFrom)
	}
	if err := b.send(); err != nil || b.zip == nil {
		return err
	}
	err := b.zip.Close()
	b.failed = err != nil
	return err
}

// shape makes YAML of it, or indents it.
func (b *body) shape() error {
	switch {
	case b.form.media == typeYAML:
		out, err := yaml.JSONToYAML(b.buffer)
		if err != nil {
			return fmt.Errorf("encode answer: %w", err)
		}
		b.buffer = out
	case b.form.media == typeJSON && b.form.pretty:
		var out bytes.Buffer
		if err := json.Indent(&out, b.buffer, "", "  "); err != nil {
			return fmt.Errorf("indent answer: %w", err)
		}
		b.buffer = out.Bytes()
	}
	return nil
}

func (b *body) begin(large bool) {
	b.begun = true
	header := b.w.Header()
	header.Set("Content-Type", b.form.media)
	header.Set("Cache-Control", "no-cache, private")
	if large && strings.Contains(b.r.Header.Get("Accept-Encoding"), "gzip") {
		header.Set("Content-Encoding", "gzip")
		header.Add("Vary", "Accept-Encoding")
		b.zip = gzips.Get().(*gzip.Writer)
		b.zip.Reset(b.w)
	}
	if t, ok := b.w.(*tracked); ok && large {
		t.last()
	}
	b.w.WriteHeader(b.code)
}

var gzips = sync.Pool{New: func() any {
	zip, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // there is such a level
	}
	return zip
}}

func (b *body) send() error {
	var to io.Writer = b.w
	if b.zip != nil {
		to = b.zip
	}
	_, err := to.Write(b.buffer)
	b.failed = err != nil
	b.buffer = b.buffer[:0]
	return err
}
