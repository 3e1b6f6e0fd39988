//go:build compose

package compose_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// footprint lists what docker and the cluster may leave on a machine: objects of the
// engine, processes, mounts, cgroups, links, rules of the firewall and files. Other
// containers of the machine's engine are none of it.
func footprint() ([]string, error) {
	var out []string
	for _, list := range []func() ([]string, error){engineObjects, processes, mounts, cgroups, files} {
		found, err := list()
		if err != nil {
			return nil, err
		}
		out = append(out, found...)
	}
	return out, nil
}

// engineObjects are the project's containers, volumes, networks and images, where an
// engine answers.
func engineObjects() ([]string, error) {
	if exec.Command("docker", "version").Run() != nil {
		return nil, nil
	}
	var out []string
	for _, list := range [][]string{
		{"ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=muster"},
		{"volume", "ls", "--quiet", "--filter", "label=com.docker.compose.project=muster"},
		{"network", "ls", "--quiet", "--filter", "label=com.docker.compose.project=muster"},
		{"images", "--quiet", "muster/*"},
	} {
		found, err := exec.Command("docker", list...).Output()
		if err != nil {
			return nil, err
		}
		for _, id := range strings.Fields(string(found)) {
			out = append(out, "docker "+list[0]+" "+id)
		}
	}
	return out, nil
}

// processes are those of the cluster's own engine, and what it started.
func processes() ([]string, error) {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	var out []string
	for _, path := range paths {
		// One that has ended meanwhile has no command.
		content, _ := os.ReadFile(path)
		if line := strings.ReplaceAll(string(content), "\x00", " "); strings.Contains(line, "muster-compose/") {
			out = append(out, "process "+line)
		}
	}
	return out, err
}

func mounts() ([]string, error) {
	content, err := os.ReadFile("/proc/self/mountinfo")
	var out []string
	for line := range strings.Lines(string(content)) {
		if path := strings.Fields(line)[4]; strings.Contains(path, "/muster-compose/") {
			out = append(out, "mount "+path)
		}
	}
	return out, err
}

func cgroups() ([]string, error) {
	var out []string
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && strings.Contains(path, "muster-compose") {
			out = append(out, "cgroup "+path)
		}
		return nil
	})
	return out, err
}

// files are the engine's, the bridge of the network and rules that mention either.
func files() ([]string, error) {
	var out []string
	for _, path := range []string{"/var/lib/muster-compose", "/run/muster-compose"} {
		if _, err := os.Stat(path); err == nil {
			out = append(out, "file "+path)
		}
	}
	for _, command := range [][]string{{"ip", "-brief", "address"}, {"ip", "route"}, {"nft", "list", "ruleset"}} {
		found, err := exec.Command(command[0], command[1:]...).Output()
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(found)) {
			if strings.Contains(line, "10.88.0.") {
				out = append(out, strings.Join(command, " ")+": "+strings.TrimSpace(line))
			}
		}
	}
	return out, nil
}
