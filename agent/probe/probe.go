// Package probe asks containers whether they live and are ready, with kubelet's
// defaults, thresholds and words.
package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// maxBody is how much of an answer is read, and the connection then dropped.
const maxBody = 10 << 10

// Exec runs a command in the probed container; when ctx ends it is killed.
type Exec func(ctx context.Context, command []string) (output []byte, exitCode int, err error)

// Once asks a container of the pod with address ip. An error says what was wrong.
func Once(ctx context.Context, p *corev1.Probe, ip string, c *corev1.Container, exec Exec) error {
	ctx, cancel := context.WithTimeout(ctx, seconds(p.TimeoutSeconds, 1))
	defer cancel()
	switch {
	case p.Exec != nil:
		return command(ctx, p, exec)
	case p.HTTPGet != nil:
		return get(ctx, p.HTTPGet, ip, c)
	case p.TCPSocket != nil:
		return connect(ctx, p.TCPSocket, ip, c)
	case p.GRPC != nil:
		return health(ctx, p.GRPC, ip, seconds(p.TimeoutSeconds, 1))
	}
	return errors.New("missing probe handler")
}

// UnknownError says that a container could not even be asked.
type UnknownError struct{ Cause error }

// Error implements error.
func (e *UnknownError) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *UnknownError) Unwrap() error { return e.Cause }

func command(ctx context.Context, p *corev1.Probe, exec Exec) error {
	output, code, err := exec(ctx, p.Exec.Command)
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("command timed out: %q timed out after %v", strings.Join(p.Exec.Command, " "), seconds(p.TimeoutSeconds, 1))
	case err != nil:
		return &UnknownError{Cause: err}
	case code != 0:
		return errors.New(string(output))
	}
	return nil
}

func seconds(n int32, otherwise int32) time.Duration {
	if n == 0 {
		n = otherwise
	}
	return time.Duration(n) * time.Second
}

// port resolves a number, or the name of one of the container's ports.
func port(p intstr.IntOrString, c *corev1.Container) (string, error) {
	if p.Type == intstr.Int {
		return strconv.Itoa(p.IntValue()), nil
	}
	for _, named := range c.Ports {
		if named.Name == p.StrVal {
			return strconv.Itoa(int(named.ContainerPort)), nil
		}
	}
	if _, err := strconv.Atoi(p.StrVal); err == nil {
		return p.StrVal, nil
	}
	return "", fmt.Errorf("couldn't find port: %s", p.StrVal)
}

func get(ctx context.Context, h *corev1.HTTPGetAction, ip string, c *corev1.Container) error {
	number, err := port(h.Port, c)
	if err != nil {
		return err
	}
	host := h.Host
	if host == "" {
		host = ip
	}
	target, err := url.Parse(h.Path)
	if err != nil {
		target = &url.URL{Path: h.Path}
	}
	target.Scheme, target.Host = strings.ToLower(string(h.Scheme)), net.JoinHostPort(host, number)
	if target.Scheme == "" {
		target.Scheme = "http"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "kube-probe/1.36")
	req.Header.Set("Accept", "*/*")
	for _, header := range h.HTTPHeaders {
		if strings.EqualFold(header.Name, "Host") {
			req.Host = header.Value
			continue
		}
		req.Header.Add(header.Name, header.Value)
	}
	// Certificates of probed containers are not verified, as in Kubernetes.
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}, CheckRedirect: sameHost}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)); err != nil {
		return err
	}
	if resp.StatusCode < 200 || resp.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with statuscode: %d", resp.StatusCode)
	}
	return nil
}

// sameHost follows redirects on the probed host only; one that leads elsewhere
// is a success.
func sameHost(req *http.Request, via []*http.Request) error {
	if req.URL.Hostname() != via[0].URL.Hostname() {
		return http.ErrUseLastResponse
	}
	if len(via) >= 10 {
		return errors.New("stopped after 10 redirects")
	}
	return nil
}

func connect(ctx context.Context, t *corev1.TCPSocketAction, ip string, c *corev1.Container) error {
	number, err := port(t.Port, c)
	if err != nil {
		return err
	}
	host := t.Host
	if host == "" {
		host = ip
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(host, number))
	if err != nil {
		return err
	}
	return conn.Close()
}

func health(ctx context.Context, g *corev1.GRPCAction, ip string, timeout time.Duration) error {
	address := net.JoinHostPort(ip, strconv.Itoa(int(g.Port)))
	conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	service := ""
	if g.Service != nil {
		service = *g.Service
	}
	resp, err := healthv1.NewHealthClient(conn).Check(ctx, &healthv1.HealthCheckRequest{Service: service}, grpc.WaitForReady(true))
	if ctx.Err() != nil {
		return fmt.Errorf("timeout: failed to connect service %q within %v: %w", address, timeout, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("error: health rpc probe failed: %w", err)
	}
	if resp.GetStatus() != healthv1.HealthCheckResponse_SERVING {
		return fmt.Errorf("service unhealthy (responded with %q)", resp.GetStatus().String())
	}
	return nil
}
