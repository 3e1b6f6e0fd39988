//go:build root

package foreign_test

import (
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/musterhq/muster/integration/loopback"
	apiv1 "github.com/musterhq/muster/proto/muster/api/v1"
)

// descriptorsOfKubernetes is what reflection answers from, too.
const descriptorsOfKubernetes = "../../services/apiserver/internal/descriptors/kubernetes.binpb.gz"

// TestPython generates a client from the protos and has it list, create, watch,
// update, transact and delete objects over mutual TLS. It takes Debian's python3,
// which make setup installs; the build tag says only that this is no test for a bare
// machine.
func TestPython(t *testing.T) {
	for _, program := range []string{"protoc", "grpc_python_plugin", "/usr/bin/python3"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v; run make setup", err)
		}
	}
	s, dir := loopback.Start(t), t.TempDir()
	files := s.Files()
	generate(t, dir)
	command := exec.CommandContext(t.Context(), "/usr/bin/python3", "testdata/client.py", s.GRPC, files.CA, files.Cert, files.Key)
	command.Env = append(os.Environ(), "PYTHONPATH="+dir, "PYTHONDONTWRITEBYTECODE=1")
	out, err := command.CombinedOutput()
	if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), "all is well") {
		t.Errorf("client.py: %v\n%s", err, out)
	}
}

// generate makes the Python modules of ObjectService and of the Kubernetes messages.
func generate(t *testing.T, dir string) {
	t.Helper()
	ours, theirs := &descriptorpb.FileDescriptorSet{}, &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	gather(ours, apiv1.File_muster_api_v1_object_proto, seen)
	gather(ours, spb.File_google_rpc_status_proto, seen) // which errors travel in
	packed, err := os.Open(descriptorsOfKubernetes)
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(unpacked)
	if err == nil {
		err = proto.Unmarshal(raw, theirs)
	}
	if err != nil {
		t.Fatal(err)
	}
	set := &descriptorpb.FileDescriptorSet{File: append(ours.GetFile(), theirs.GetFile()...)}
	encoded, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	in := filepath.Join(dir, "all.binpb")
	if err := os.WriteFile(in, encoded, 0o600); err != nil {
		t.Fatal(err)
	}
	plugin, err := exec.LookPath("grpc_python_plugin")
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--descriptor_set_in=" + in, "--python_out=" + dir, "--grpc_out=" + dir, "--plugin=protoc-gen-grpc=" + plugin}
	for _, f := range set.GetFile() {
		if !strings.HasPrefix(f.GetName(), "google/protobuf/") { // comes with protobuf itself
			args = append(args, f.GetName())
		}
	}
	if out, err := exec.CommandContext(t.Context(), "protoc", args...).CombinedOutput(); err != nil {
		t.Fatalf("protoc: %v\n%s", err, out)
	}
}

// gather adds a file and all that it imports, which come first.
func gather(set *descriptorpb.FileDescriptorSet, f protoreflect.FileDescriptor, seen map[string]bool) {
	if seen[f.Path()] {
		return
	}
	seen[f.Path()] = true
	for i := range f.Imports().Len() {
		gather(set, f.Imports().Get(i).FileDescriptor, seen)
	}
	set.File = append(set.File, protodesc.ToFileDescriptorProto(f))
}
