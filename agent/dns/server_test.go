package dns_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	agentdns "github.com/musterhq/muster/agent/dns"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ptr[T any](v T) *T { return &v }

// view is an informer that holds what it was made with.
type view[T metav1.Object] struct {
	objects []T
	indexes map[string]func(T) []string
}

func (v *view[T]) AddIndex(name string, values func(T) []string) {
	if v.indexes == nil {
		v.indexes = map[string]func(T) []string{}
	}
	v.indexes[name] = values
}

func (v *view[T]) Get(namespace, name string) (T, bool) {
	for _, o := range v.objects {
		if o.GetNamespace() == namespace && o.GetName() == name {
			return o, true
		}
	}
	var none T
	return none, false
}

func (v *view[T]) ByIndex(index, value string) []T {
	var out []T
	for _, o := range v.objects {
		if slices.Contains(v.indexes[index](o), value) {
			out = append(out, o)
		}
	}
	return out
}

func service(name string, spec corev1.ServiceSpec) *corev1.Service {
	return &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}, Spec: spec}
}

func endpointSlice(service string, endpoints ...discoveryv1.Endpoint) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: service + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: service}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr("http"), Port: ptr(int32(8000)), Protocol: ptr(corev1.ProtocolTCP)}},
		Endpoints:   endpoints,
	}
}

func pod(ip, hostname string, ready bool) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{ip}, Conditions: discoveryv1.EndpointConditions{Ready: &ready}}
	if hostname != "" {
		e.Hostname = &hostname
	}
	return e
}

var http = []corev1.ServicePort{{Name: "http", Port: 80, Protocol: corev1.ProtocolTCP}}

func cluster() (*view[*corev1.Service], *view[*discoveryv1.EndpointSlice]) {
	services := &view[*corev1.Service]{objects: []*corev1.Service{
		service("whoami", corev1.ServiceSpec{ClusterIP: "10.96.7.7", Ports: http}),
		service("db", corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: http}),
		service("eager", corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: http, PublishNotReadyAddresses: true}),
		service("empty", corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: http}),
		service("outside", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "www.example.com"}),
		service("alias", corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "whoami.default.svc.cluster.local"}),
	}}
	many := make([]discoveryv1.Endpoint, 0, 100)
	for i := range 100 {
		many = append(many, pod(fmt.Sprintf("10.244.9.%d", i+1), "", true))
	}
	services.objects = append(services.objects, service("many", corev1.ServiceSpec{ClusterIP: corev1.ClusterIPNone, Ports: http}))
	endpoints := &view[*discoveryv1.EndpointSlice]{objects: []*discoveryv1.EndpointSlice{
		endpointSlice("whoami", pod("10.244.1.9", "", true)),
		endpointSlice("db", pod("10.244.1.2", "db-0", true), pod("10.244.2.2", "", true), pod("10.244.2.3", "db-2", false)),
		endpointSlice("eager", pod("10.244.2.3", "db-2", false)),
		endpointSlice("many", many...),
	}}
	agentdns.AddIndexes(services, endpoints)
	return services, endpoints
}

var nextAddress atomic.Uint32

// loopback gives an address of this machine that no other test uses.
func loopback() netip.Addr {
	return netip.AddrFrom4([4]byte{127, 77, 0, byte(nextAddress.Add(1))})
}

// run runs f until the test ends.
func run(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

const port = 15353

// serve starts a server with these upstreams and returns its address.
func serve(t *testing.T, upstreams ...netip.AddrPort) string {
	t.Helper()
	services, endpoints := cluster()
	at := loopback()
	s, err := agentdns.New(agentdns.Config{Address: at, Port: port, Services: services, EndpointSlices: endpoints,
		ServiceCIDR: netip.MustParsePrefix("10.96.0.0/12"), ClusterCIDR: netip.MustParsePrefix("10.244.0.0/16"),
		Upstreams: append([]netip.AddrPort{}, upstreams...), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	run(t, s.Run)
	<-s.Ready()
	return netip.AddrPortFrom(at, port).String()
}

func ask(t *testing.T, network, server, name string, qtype uint16) *dns.Msg {
	t.Helper()
	query := new(dns.Msg)
	query.SetQuestion(name, qtype)
	client := dns.Client{Net: network, Timeout: 5 * time.Second}
	reply, _, err := client.Exchange(query, server)
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.TypeToString[qtype], err)
	}
	return reply
}

// data is an answer section in short, sorted.
func data(records []dns.RR) string {
	var out []string
	for _, rr := range records {
		out = append(out, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestClusterNames(t *testing.T) {
	upstream := upstreamServer(t)
	server := serve(t, upstream.addr)
	const ns = ".default.svc.cluster.local."
	for _, test := range []struct {
		name  string
		qtype uint16
		rcode int
		want  string
	}{
		{"whoami" + ns, dns.TypeA, dns.RcodeSuccess, "10.96.7.7"},
		{"WhoAmI.Default.SVC.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.96.7.7"},
		{"whoami" + ns, dns.TypeAAAA, dns.RcodeSuccess, ""},
		{"_http._tcp.whoami" + ns, dns.TypeSRV, dns.RcodeSuccess, "0 100 80 whoami" + ns},
		{"_http._udp.whoami" + ns, dns.TypeSRV, dns.RcodeNameError, ""},
		{"_tcp.whoami" + ns, dns.TypeA, dns.RcodeSuccess, ""},
		{"db" + ns, dns.TypeA, dns.RcodeSuccess, "10.244.1.2, 10.244.2.2"},
		{"db" + ns, dns.TypeAAAA, dns.RcodeSuccess, ""},
		{"db-0.db" + ns, dns.TypeA, dns.RcodeSuccess, "10.244.1.2"},
		{"10-244-2-2.db" + ns, dns.TypeA, dns.RcodeSuccess, "10.244.2.2"},
		{"db-2.db" + ns, dns.TypeA, dns.RcodeNameError, ""},
		{"db-2.eager" + ns, dns.TypeA, dns.RcodeSuccess, "10.244.2.3"},
		{"_http._tcp.db" + ns, dns.TypeSRV, dns.RcodeSuccess, "0 100 8000 10-244-2-2.db" + ns + ", 0 100 8000 db-0.db" + ns},
		{"empty" + ns, dns.TypeA, dns.RcodeNameError, ""},
		{"missing" + ns, dns.TypeA, dns.RcodeNameError, ""},
		{"default.svc.cluster.local.", dns.TypeA, dns.RcodeSuccess, ""},
		{"other.svc.cluster.local.", dns.TypeA, dns.RcodeNameError, ""},
		{"outside" + ns, dns.TypeA, dns.RcodeSuccess, "192.0.2.1, www.example.com."},
		{"outside" + ns, dns.TypeCNAME, dns.RcodeSuccess, "www.example.com."},
		{"alias" + ns, dns.TypeA, dns.RcodeSuccess, "10.96.7.7, whoami.default.svc.cluster.local."},
		{"10-244-1-2.default.pod.cluster.local.", dns.TypeA, dns.RcodeSuccess, "10.244.1.2"},
		{"nonsense.default.pod.cluster.local.", dns.TypeA, dns.RcodeNameError, ""},
		{"7.7.96.10.in-addr.arpa.", dns.TypePTR, dns.RcodeSuccess, "whoami.default.svc.cluster.local."},
		{"2.1.244.10.in-addr.arpa.", dns.TypePTR, dns.RcodeSuccess, "db-0.db.default.svc.cluster.local."},
		{"8.8.96.10.in-addr.arpa.", dns.TypePTR, dns.RcodeNameError, ""},
		{"www.example.com" + ns, dns.TypeA, dns.RcodeNameError, ""},
		{"dns-version.cluster.local.", dns.TypeTXT, dns.RcodeSuccess, `"1.1.0"`},
	} {
		for _, network := range []string{"udp", "tcp"} {
			reply := ask(t, network, server, test.name, test.qtype)
			if reply.Rcode != test.rcode || data(reply.Answer) != test.want {
				t.Errorf("%s %s by %s: %s %q, want %s %q", test.name, dns.TypeToString[test.qtype], network,
					dns.RcodeToString[reply.Rcode], data(reply.Answer), dns.RcodeToString[test.rcode], test.want)
			}
			if test.want == "" && (len(reply.Ns) != 1 || reply.Ns[0].Header().Rrtype != dns.TypeSOA) {
				t.Errorf("%s: no SOA record with an empty answer", test.name)
			}
		}
	}
	for _, asked := range upstream.names() {
		if asked != "www.example.com." {
			t.Errorf("the question for %s left the cluster", asked)
		}
	}
}

func TestLargeAnswers(t *testing.T) {
	server := serve(t)
	const name = "many.default.svc.cluster.local."
	if reply := ask(t, "udp", server, name, dns.TypeA); !reply.Truncated || len(reply.Answer) == 0 {
		t.Errorf("100 addresses by UDP: truncated %v, %d answers", reply.Truncated, len(reply.Answer))
	}
	if reply := ask(t, "tcp", server, name, dns.TypeA); reply.Truncated || len(reply.Answer) != 100 {
		t.Errorf("100 addresses by TCP: truncated %v, %d answers", reply.Truncated, len(reply.Answer))
	}
	first := map[string]bool{}
	for range 20 {
		first[data(ask(t, "tcp", server, name, dns.TypeA).Answer[:1])] = true
	}
	if len(first) < 3 {
		t.Errorf("clients always get the same first address: %v", first)
	}
}
