package pod

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/musterhq/muster/agent/logs"
	"github.com/musterhq/muster/agent/runtime"
	"github.com/musterhq/muster/agent/volume"
)

const (
	maxHostname       = 63
	maxMessage        = 4096
	maxMessageFromLog = 2048
	messageLogLines   = 80
	// maxSearches is glibc's old limit that Kubernetes raised.
	maxSearches    = 32
	maxNameservers = 3
)

// hostname and the domain that it belongs to, if the pod has one.
func (w *worker) hostname(pod *corev1.Pod) (host, domain string) {
	if pod.Spec.HostNetwork {
		return w.cfg.NodeName, ""
	}
	host = pod.Name
	if pod.Spec.Hostname != "" {
		host = pod.Spec.Hostname
	}
	if pod.Spec.HostnameOverride != nil {
		return *pod.Spec.HostnameOverride, ""
	}
	if len(host) > maxHostname {
		host = strings.TrimRight(host[:maxHostname], "-.")
	}
	if pod.Spec.Subdomain != "" {
		domain = pod.Spec.Subdomain + "." + pod.Namespace + ".svc." + w.cfg.ClusterDomain
	}
	return host, domain
}

// writeNetworkFiles writes /etc/hosts, resolv.conf and hostname. They are
// written in place, since running containers have them mounted.
func (w *worker) writeNetworkFiles(pod *corev1.Pod) error {
	host, domain := w.hostname(pod)
	name := host
	if isTrue(pod.Spec.SetHostnameAsFQDN) && domain != "" {
		name = host + "." + domain
	}
	hosts, err := w.hosts(pod, host, domain)
	if err != nil {
		return err
	}
	resolv, err := w.resolvConf(pod)
	if err != nil {
		return err
	}
	for file, text := range map[string]string{"hosts": hosts, "resolv.conf": resolv, "hostname": name + "\n"} {
		p := filepath.Join(w.podDir(), file)
		if old, err := os.ReadFile(p); err == nil && (string(old) == text || file == "hosts") {
			continue // A container may have changed its hosts file; kubelet keeps that, too.
		}
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (w *worker) hosts(pod *corev1.Pod, host, domain string) (string, error) {
	var b strings.Builder
	if pod.Spec.HostNetwork {
		own, err := os.ReadFile("/etc/hosts")
		if err != nil {
			return "", err
		}
		b.WriteString("# Kubernetes-managed hosts file (host network).\n")
		b.Write(own)
	} else {
		b.WriteString("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n" +
			"fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n")
		if domain != "" {
			fmt.Fprintf(&b, "%s\t%s.%s\t%s\n", w.podIP, host, domain, host)
		} else {
			fmt.Fprintf(&b, "%s\t%s\n", w.podIP, host)
		}
	}
	if len(pod.Spec.HostAliases) > 0 {
		b.WriteString("\n# Entries added by HostAliases.\n")
		for _, a := range pod.Spec.HostAliases {
			fmt.Fprintf(&b, "%s\t%s\n", a.IP, strings.Join(a.Hostnames, "\t"))
		}
	}
	return b.String(), nil
}

// resolvConf follows the pod's dnsPolicy and dnsConfig.
func (w *worker) resolvConf(pod *corev1.Pod) (string, error) {
	var c resolver
	policy := pod.Spec.DNSPolicy
	cluster := policy == corev1.DNSClusterFirstWithHostNet || (policy == corev1.DNSClusterFirst || policy == "") && !pod.Spec.HostNetwork
	if policy != corev1.DNSNone {
		own, err := os.ReadFile("/etc/resolv.conf")
		if err != nil && !os.IsNotExist(err) {
			return "", err
		}
		c = parseResolver(string(own))
	}
	if cluster && len(w.cfg.ClusterDNS) > 0 {
		d := w.cfg.ClusterDomain
		c.servers = nil
		for _, a := range w.cfg.ClusterDNS {
			c.servers = append(c.servers, a.String())
		}
		c.searches = unique(append([]string{pod.Namespace + ".svc." + d, "svc." + d, d}, c.searches...))
		c.options = []string{"ndots:5"}
	}
	c.extend(pod.Spec.DNSConfig)
	return c.String(), nil
}

type resolver struct{ servers, searches, options []string }

func parseResolver(text string) resolver {
	var c resolver
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "nameserver":
			c.servers = append(c.servers, f[1])
		case "search":
			c.searches = nil
			for _, s := range f[1:] {
				if s != "." {
					c.searches = append(c.searches, strings.TrimSuffix(s, "."))
				}
			}
		case "options":
			c.options = append(c.options, f[1:]...)
		}
	}
	return c
}

func (c *resolver) extend(d *corev1.PodDNSConfig) {
	if d == nil {
		return
	}
	c.servers = unique(append(c.servers, d.Nameservers...))
	c.searches = unique(append(c.searches, d.Searches...))
	for _, o := range d.Options {
		text := o.Name
		if o.Value != nil {
			text += ":" + *o.Value
		}
		kept := c.options[:0:0]
		for _, old := range c.options {
			if name, _, _ := strings.Cut(old, ":"); name != o.Name {
				kept = append(kept, old)
			}
		}
		c.options = append(kept, text)
	}
}

func (c resolver) String() string {
	var b strings.Builder
	if len(c.searches) > 0 {
		b.WriteString("search " + strings.Join(c.searches[:min(len(c.searches), maxSearches)], " ") + "\n")
	}
	for _, s := range c.servers[:min(len(c.servers), maxNameservers)] {
		b.WriteString("nameserver " + s + "\n")
	}
	if len(c.options) > 0 {
		b.WriteString("options " + strings.Join(c.options, " ") + "\n")
	}
	return b.String()
}

func unique(list []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

func (w *worker) messagePath(container string, attempt int) string {
	return filepath.Join(w.podDir(), "messages", container, strconv.Itoa(attempt))
}

// terminationMessage is what the container wrote to its message file or, where
// the pod asks for it, the end of its log.
func (w *worker) terminationMessage(pod *corev1.Pod, c *corev1.Container, r runtime.Container) string {
	b, err := os.ReadFile(w.messagePath(c.Name, r.Attempt))
	if err == nil && len(b) > 0 {
		return string(bytes.ToValidUTF8(b[:min(len(b), maxMessage)], []byte("�")))
	}
	if c.TerminationMessagePolicy != corev1.TerminationMessageFallbackToLogsOnError || r.ExitCode == 0 {
		return ""
	}
	var out bytes.Buffer
	lines := int64(messageLogLines)
	if err := logs.Read(context.Background(), r.LogPath, logs.Options{Tail: &lines}, nil, &out); err != nil {
		return ""
	}
	text := out.Bytes()
	return string(bytes.ToValidUTF8(text[max(0, len(text)-maxMessageFromLog):], []byte("�")))
}

// volumeSource lets volumes read the cluster and the pod.
func (w *worker) volumeSource() volume.Source { return source{w, w.cfg.API} }

type source struct {
	*worker
	API
}
