// Package descriptors knows the protobuf messages of the Kubernetes API, so that
// gRPC reflection describes what travels in a google.protobuf.Any: with them grpcurl
// and its like show and take typed objects.
package descriptors

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"sync"
	"weak"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

//go:generate ../../../../scripts/descriptors

// kubernetes is a FileDescriptorSet, made by scripts/descriptors from the protos of
// k8s.io/api and k8s.io/apimachinery.
//
//go:embed kubernetes.binpb.gz
var kubernetes []byte

// Resolver finds the descriptors that are linked in, and those of Kubernetes. Built,
// these take several MB: they are built when they are first asked for, and go with
// the next collection of garbage after the last one who asked is done. The zero value
// is ready; its methods may be called from any goroutine.
type Resolver struct {
	mu    sync.Mutex
	files weak.Pointer[protoregistry.Files]
}

// FindFileByPath returns a file, such as "k8s.io/api/core/v1/generated.proto". The
// error is protoregistry.NotFound when there is none.
func (r *Resolver) FindFileByPath(path string) (protoreflect.FileDescriptor, error) {
	if f, err := protoregistry.GlobalFiles.FindFileByPath(path); err == nil {
		return f, nil
	}
	files, err := r.load()
	if err != nil {
		return nil, err
	}
	return files.FindFileByPath(path)
}

// FindDescriptorByName returns what has a full name, such as
// "k8s.io.api.core.v1.Pod". The error is protoregistry.NotFound when nothing has.
func (r *Resolver) FindDescriptorByName(name protoreflect.FullName) (protoreflect.Descriptor, error) {
	if d, err := protoregistry.GlobalFiles.FindDescriptorByName(name); err == nil {
		return d, nil
	}
	files, err := r.load()
	if err != nil {
		return nil, err
	}
	return files.FindDescriptorByName(name)
}

func (r *Resolver) load() (*protoregistry.Files, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if files := r.files.Value(); files != nil {
		return files, nil
	}
	files, err := build()
	if err != nil {
		return nil, fmt.Errorf("build descriptors of Kubernetes: %w", err)
	}
	r.files = weak.Make(files)
	return files, nil
}

func build() (*protoregistry.Files, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(kubernetes))
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(unpacked)
	if err != nil {
		return nil, err
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(raw, set); err != nil {
		return nil, err
	}
	return protodesc.NewFiles(set)
}
