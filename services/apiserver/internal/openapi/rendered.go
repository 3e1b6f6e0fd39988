package openapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/munnerz/goautoneg"
	"google.golang.org/protobuf/proto"
)

// packed is a document that is kept compressed.
type packed struct {
	zipped []byte
	hash   string // of what was compressed
}

func pack(plain []byte, err error) (*packed, error) {
	if err != nil {
		return nil, fmt.Errorf("encode document: %w", err)
	}
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	if _, err := zip.Write(plain); err != nil {
		return nil, fmt.Errorf("compress document: %w", err)
	}
	if err := zip.Close(); err != nil {
		return nil, fmt.Errorf("compress document: %w", err)
	}
	return &packed{bytes.Clone(out.Bytes()), fmt.Sprintf("%X", sha512.Sum512(plain))}, nil
}

func (p *packed) plain() ([]byte, error) {
	zip, err := gzip.NewReader(bytes.NewReader(p.zipped))
	if err != nil {
		return nil, fmt.Errorf("decompress document: %w", err)
	}
	out, err := io.ReadAll(zip)
	if err != nil {
		return nil, fmt.Errorf("decompress document: %w", err)
	}
	return out, nil
}

// rendered is a document in all forms that clients ask for.
type rendered struct {
	json    func() (*packed, error)
	toProto func(json []byte) (proto.Message, error) // nil where there is no such form
	media   string                                   // of the protobuf form

	once     sync.Once
	protobuf *packed
	err      error
}

func (d *rendered) proto() (*packed, error) {
	d.once.Do(func() {
		d.protobuf, d.err = d.makeProto()
	})
	return d.protobuf, d.err
}

func (d *rendered) makeProto() (*packed, error) {
	doc, err := d.json()
	if err != nil {
		return nil, err
	}
	plain, err := doc.plain()
	if err != nil {
		return nil, err
	}
	message, err := d.toProto(plain)
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	out, err := pack(proto.Marshal(message))
	if out != nil {
		out.hash = doc.hash // The header Vary tells one form from the other.
	}
	return out, err
}

// serve answers in the form that the request prefers.
func (d *rendered) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept")
	form, media := d.negotiate(r.Header.Get("Accept"))
	if form == nil {
		w.WriteHeader(http.StatusNotAcceptable)
		return
	}
	doc, err := form()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Etag", strconv.Quote(doc.hash))
	if strings.Contains(r.Header.Get("If-None-Match"), doc.hash) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	doc.send(w, r)
}

func (p *packed) send(w http.ResponseWriter, r *http.Request) {
	w.Header().Add("Vary", "Accept-Encoding")
	out := p.zipped
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
	} else {
		var err error
		if out, err = p.plain(); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(out)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(out) // A client that is gone needs no answer.
	}
}

// negotiate chooses the form of an answer; nil is that there is none.
func (d *rendered) negotiate(accept string) (form func() (*packed, error), media string) {
	if accept == "" {
		accept = "*/*"
	}
	deprecated := strings.Replace(d.media, ".v1.0+", "@v1.0+", 1)
	for _, clause := range goautoneg.ParseAccept(accept) {
		asked := clause.Type + "/" + clause.SubType
		switch {
		case asked == "*/*", asked == "application/*", asked == "application/json":
			return d.json, "application/json"
		case d.toProto != nil && (asked == d.media || asked == deprecated):
			return d.proto, d.media
		}
	}
	return nil, ""
}

func yearFromNow() string { return time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat) }
