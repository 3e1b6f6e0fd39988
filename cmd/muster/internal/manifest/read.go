package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// extensions are those of the files that are read in directories.
var extensions = []string{".yaml", ".yml", ".json"}

// Source says where manifests are.
type Source struct {
	// Paths of files and directories; "-" is Stdin.
	Paths []string
	// Recursive reads what is in directories of directories too.
	Recursive bool
	// Stdin is read where a path is "-".
	Stdin io.Reader
}

// Read returns all manifests, in the order of the paths, the names of files in a
// directory and the documents in a file. Errors say where something is wrong.
func (s Source) Read() ([]Manifest, error) {
	var out []Manifest
	for _, path := range s.Paths {
		files, err := s.files(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			some, err := s.readFile(file)
			if err != nil {
				return nil, err
			}
			out = append(out, some...)
		}
	}
	return out, nil
}

// files returns what a path stands for. A file that is named itself may have any
// extension.
func (s Source) files(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	if strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://") {
		return nil, fmt.Errorf("%s: manifests are read from files, not from the network: curl -fsSL %s | muster apply -f -", path, path)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != path && !s.Recursive:
			return fs.SkipDir
		case !d.IsDir() && slices.Contains(extensions, filepath.Ext(name)):
			files = append(files, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read manifests: no %s files in %s%s", strings.Join(extensions, ", "), path, s.hint())
	}
	return files, nil
}

func (s Source) hint() string {
	if s.Recursive {
		return ""
	}
	return " (-R looks in its directories, too)"
}

func (s Source) readFile(name string) ([]Manifest, error) {
	if name == "-" {
		raw, err := io.ReadAll(s.Stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return split(raw, "stdin")
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read manifests: %w", err)
	}
	return split(raw, name)
}

// split reads the documents of a file.
func split(raw []byte, name string) ([]Manifest, error) {
	if isJSON(raw) {
		return splitJSON(raw, name)
	}
	var out []Manifest
	document, from := []byte(nil), 1
	flush := func() error {
		some, err := readYAML(document, fmt.Sprintf("%s:%d", name, first(document, from)))
		out = append(out, some...)
		return err
	}
	number := 0
	for line := range bytes.Lines(raw) {
		number++
		if !separates(line) {
			document = append(document, line...)
			continue
		}
		if err := flush(); err != nil {
			return nil, err
		}
		document, from = nil, number+1
	}
	if err := flush(); err != nil {
		return nil, err
	}
	return out, nil
}

// isJSON tells whether a file begins with an object in JSON. What only looks so is YAML.
func isJSON(raw []byte) bool {
	var object map[string]json.RawMessage
	return json.NewDecoder(bytes.NewReader(raw)).Decode(&object) == nil
}

// separates tells whether a line ends a document of YAML.
func separates(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	rest = bytes.TrimSpace(rest)
	return ok && (len(rest) == 0 || rest[0] == '#')
}

// first is the number of the first line of a document that says something.
func first(document []byte, from int) int {
	for line := range bytes.Lines(document) {
		if trimmed := bytes.TrimSpace(line); len(trimmed) > 0 && trimmed[0] != '#' {
			break
		}
		from++
	}
	return from
}

func readYAML(document []byte, from string) ([]Manifest, error) {
	raw, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, fmt.Errorf("%s: %w (lines are counted from the document's)", from, err)
	}
	if bytes.Equal(bytes.TrimSpace(raw), []byte("null")) {
		return nil, nil // only comments, or nothing
	}
	return parse(raw, from)
}

// splitJSON reads objects of JSON that follow each other.
func splitJSON(raw []byte, name string) ([]Manifest, error) {
	var out []Manifest
	decoder := json.NewDecoder(bytes.NewReader(raw))
	for {
		begin := decoder.InputOffset()
		var object json.RawMessage
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		blank := len(raw[begin:]) - len(bytes.TrimSpace(raw[begin:]))
		from := fmt.Sprintf("%s:%d", name, 1+bytes.Count(raw[:min(int(begin)+blank, len(raw))], []byte("\n")))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from, err)
		}
		some, err := parse(object, from)
		if err != nil {
			return nil, err
		}
		out = append(out, some...)
	}
}
