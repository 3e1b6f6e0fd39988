package images_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/images"
	"github.com/musterhq/muster/services/apiserver/internal/state"
)

var (
	admin = access.User{Name: "root", Groups: []string{"system:masters"}}
	node  = access.User{Name: "system:node:n1", Groups: []string{"system:nodes"}}
	peer  = access.User{Name: "muster:server:s1", Groups: []string{"muster:servers"}}
)

// server is one member; who calls is told by a header, as TLS would tell.
type server struct {
	*httptest.Server
	dir     string
	replica *replicated
}

// start makes a member of the cluster of its peers, or of a new one.
func start(t *testing.T, dir string, peers ...*server) *server {
	t.Helper()
	r := &replicated{store: state.New()}
	if len(peers) > 0 {
		r = peers[0].replica
	}
	return startOn(t, r, dir, peers...)
}

func startOn(t *testing.T, r *replicated, dir string, peers ...*server) *server {
	t.Helper()
	handler := &http.ServeMux{}
	s := &server{Server: httptest.NewUnstartedServer(handler), dir: dir, replica: r}
	s.StartTLS()
	t.Cleanup(s.Close)
	registry, err := images.New(images.Config{
		Dir: dir, Replica: r, Client: &http.Client{Transport: as{peer, s.Client().Transport}}, Logger: slog.New(slog.DiscardHandler),
		Peers: func() []string {
			var out []string
			for _, p := range peers {
				out = append(out, p.Listener.Addr().String())
			}
			return out
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	handler.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		user := access.User{Name: r.Header.Get("X-User"), Groups: r.Header.Values("X-Group")}
		registry.ServeHTTP(w, r.WithContext(access.WithUser(r.Context(), user)))
	})
	return s
}

type as struct {
	user access.User
	next http.RoundTripper
}

func (a as) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-User", a.user.Name)
	r.Header["X-Group"] = a.user.Groups
	return a.next.RoundTrip(r)
}

func (s *server) reference(t *testing.T) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(s.Listener.Addr().String() + "/docker.io/jwilder/whoami:latest")
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func (s *server) options(user access.User) []remote.Option {
	return []remote.Option{remote.WithTransport(as{user, s.Client().Transport})}
}

func (s *server) load(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(10_000, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(s.reference(t), image, s.options(admin)...); err != nil {
		t.Fatal(err)
	}
	return image
}

func (s *server) pulls(t *testing.T, want v1.Image) {
	t.Helper()
	got, err := remote.Image(s.reference(t), s.options(node)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(got); err != nil {
		t.Error(err)
	}
	wantDigest, _ := want.Digest()
	if digest, _ := got.Digest(); digest != wantDigest {
		t.Errorf("pulled %v, want %v", digest, wantDigest)
	}
}

func TestImagesSurviveARestart(t *testing.T) {
	first := start(t, t.TempDir())
	image := first.load(t)
	first.pulls(t, image)
	first.Close()
	startOn(t, first.replica, first.dir).pulls(t, image)
}

func TestImagesAreFetchedFromOthersAndKept(t *testing.T) {
	first := start(t, t.TempDir())
	image := first.load(t)
	gone := start(t, t.TempDir(), first)
	gone.Close()
	second := start(t, t.TempDir(), gone, first)
	second.pulls(t, image)
	first.Close()
	second.pulls(t, image)
}

func TestAskingOthersDoesNotGoInCircles(t *testing.T) {
	first := start(t, t.TempDir())
	second := start(t, t.TempDir(), first)
	// The first one asks the second, which must not ask the first again.
	third := start(t, t.TempDir(), second)
	first.load(t)
	if _, err := remote.Image(third.reference(t), third.options(node)...); err == nil || !strings.Contains(err.Error(), "MANIFEST_UNKNOWN") {
		t.Errorf("an image that a peer lacks: %v", err)
	}
}

// An image of a registry with a port is kept under its full name, and fetched
// from the others by it. The client's library cannot spell such a repository.
func TestRegistriesWithPorts(t *testing.T) {
	const repository = "/v2/registry.example:5000/team/app"
	first := start(t, t.TempDir())
	second := start(t, t.TempDir(), first)
	blob := []byte(`{"architecture":"amd64","os":"linux"}`)
	digest := fmt.Sprintf("sha256:%x", sha256.Sum256(blob))
	manifest := fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",`+
		`"config":{"mediaType":"application/vnd.oci.image.config.v1+json","size":%d,"digest":%q},"layers":[]}`, len(blob), digest)
	if code, body := first.do(t, admin, http.MethodPost, repository+"/blobs/uploads/?digest="+digest, blob); code != http.StatusCreated {
		t.Fatalf("blob: %d %s", code, body)
	}
	if code, body := first.do(t, admin, http.MethodPut, repository+"/manifests/2", manifest); code != http.StatusCreated {
		t.Fatalf("manifest: %d %s", code, body)
	}
	for _, s := range []*server{first, second} {
		if code, body := s.do(t, node, http.MethodGet, repository+"/manifests/2", nil); code != http.StatusOK || body != string(manifest) {
			t.Errorf("manifest: %d %s", code, body)
		}
		if code, body := s.do(t, node, http.MethodGet, repository+"/blobs/"+digest, nil); code != http.StatusOK || body != string(blob) {
			t.Errorf("blob: %d %s", code, body)
		}
	}
	if code, _ := second.do(t, node, http.MethodGet, "/v2/registry.example/team/app/manifests/2", nil); code != http.StatusNotFound {
		t.Errorf("the same name without the port: %d", code)
	}
}

func TestDamagedBlobsAreNotKept(t *testing.T) {
	liar := &server{replica: &replicated{store: state.New()}, Server: httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "not what was asked for")
	}))}
	t.Cleanup(liar.Close)
	s := start(t, t.TempDir(), liar)
	digest := "sha256:" + strings.Repeat("ab", 32)
	for range 2 {
		if code, _ := s.do(t, node, http.MethodGet, "/v2/x/blobs/"+digest, nil); code == http.StatusOK {
			t.Error("a blob with another digest is served")
		}
	}
}

func (s *server) do(t *testing.T, user access.User, method, path string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := (as{user, s.Client().Transport}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(content)
}

func TestRefusals(t *testing.T) {
	s := start(t, t.TempDir())
	tests := []struct {
		name, method, path string
		user               access.User
		body               string
		want               int
	}{
		{"nobody", http.MethodGet, "/v2/", access.User{Name: access.Anonymous}, "", 401},
		{"some user", http.MethodGet, "/v2/", access.User{Name: "eve"}, "", 403},
		{"a node that writes", http.MethodPut, "/v2/x/manifests/latest", node, "{}", 403},
		{"a node that reads", http.MethodGet, "/v2/", node, "", 200},
		{"an unknown image", http.MethodGet, "/v2/x/manifests/latest", node, "", 404},
		{"an unknown blob", http.MethodGet, "/v2/x/blobs/sha256:" + strings.Repeat("0", 64), node, "", 404},
		{"no manifest", http.MethodPut, "/v2/x/manifests/latest", admin, "{}", 400},
		{"another digest", http.MethodPut, "/v2/x/manifests/sha256:" + strings.Repeat("0", 64), admin,
			`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json"}`, 400},
		{"a hidden file", http.MethodGet, "/v2/x/manifests/.hidden", admin, "", 400},
		{"an upper case name", http.MethodGet, "/v2/X/manifests/latest", admin, "", 400},
	}
	for _, test := range tests {
		if got, body := s.do(t, test.user, test.method, test.path, []byte(test.body)); got != test.want {
			t.Errorf("%s: %d %s, want %d", test.name, got, body, test.want)
		}
	}
}
