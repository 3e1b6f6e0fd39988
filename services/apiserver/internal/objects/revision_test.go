package objects_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/objects/objectstest"
)

// What the tests of this file ask for: the ConfigMaps a to e came with revisions
// 3 to 7. This member remembers the last four changes, and will learn of f, which has
// revision 8, when it makes sure that it has the latest.
const (
	old    = "4"
	kept   = "6"
	future = "100"
)

func lagging(t *testing.T) *objects.Service {
	t.Helper()
	replica := objectstest.NewReplica()
	replica.Forget()
	s, _ := objectstest.NewOver(t, replica)
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		create(t, s, "ConfigMap", configMap(name, nil))
	}
	replica.BeforeRead = func() { create(t, s, "ConfigMap", configMap("f", nil)) }
	return s
}

// answer describes an error, and how long it took if that is anything.
func answer(err error, begun time.Time) string {
	status := &apierrors.StatusError{}
	if !errors.As(err, &status) {
		return fmt.Sprint(err)
	}
	out := fmt.Sprint(status.ErrStatus.Code, " ", status.ErrStatus.Reason)
	if apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge) {
		out += " too large"
	}
	if took := time.Since(begun); took > 0 {
		out += " after " + took.String()
	}
	return out
}

func listed(s *objects.Service, to objects.Target, o objects.ListOptions) string {
	begun := time.Now()
	page, err := s.List(admin, to, o)
	if err != nil {
		return answer(err, begun)
	}
	var out string
	for _, item := range page.Items {
		meta, err := item.Meta()
		if err != nil {
			return err.Error()
		}
		out += meta.Name
	}
	out += fmt.Sprint("@", page.Revision)
	if page.Continue != "" {
		out += "+"
	}
	return out
}

const tooLarge = "504 Timeout too large after 3s"

// Every cell of the table "resourceVersionMatch" of Kubernetes' API concepts.
func TestListRevisions(t *testing.T) {
	const exact, notOlder = metav1.ResourceVersionMatchExact, metav1.ResourceVersionMatchNotOlderThan
	for _, test := range []struct {
		version string
		match   metav1.ResourceVersionMatch
		all     string // without a limit
		limited string // with a limit of 2
	}{
		{"", "", "abcdef@8", "ab@8+"},
		{"", exact, "422 Invalid", "422 Invalid"},
		{"", notOlder, "422 Invalid", "422 Invalid"},
		{"0", "", "abcde@7", "ab@7+"},
		{"0", exact, "422 Invalid", "422 Invalid"},
		{"0", notOlder, "abcde@7", "ab@7+"},
		{kept, "", "abcde@7", "ab@6+"},
		{kept, exact, "abcd@6", "ab@6+"},
		{kept, notOlder, "abcde@7", "ab@7+"},
		{old, "", "abcde@7", "ab@4"},
		{old, exact, "ab@4", "ab@4"},
		{old, notOlder, "abcde@7", "ab@7+"},
		{"1", "", "abcde@7", "410 Expired"},
		{"1", exact, "410 Expired", "410 Expired"},
		{"1", notOlder, "abcde@7", "ab@7+"},
		{future, "", tooLarge, tooLarge},
		{future, exact, tooLarge, tooLarge},
		{future, notOlder, tooLarge, tooLarge},
		{"x", "", "400 BadRequest", "400 BadRequest"},
		{"x", exact, "400 BadRequest", "400 BadRequest"},
		{"x", notOlder, "400 BadRequest", "400 BadRequest"},
		{"-1", "", "400 BadRequest", "400 BadRequest"},
		{kept, "Newest", "422 Invalid", "422 Invalid"},
	} {
		for limit, want := range map[int64]string{0: test.all, 2: test.limited} {
			t.Run(fmt.Sprintf("%s/%s/%d", test.version, test.match, limit), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := lagging(t)
					got := listed(s, target(t, s, "ConfigMap", ""), objects.ListOptions{
						ResourceVersion: test.version, ResourceVersionMatch: test.match, Limit: limit,
					})
					if got != want {
						t.Errorf("got %s, want %s", got, want)
					}
				})
			})
		}
	}
}

// A page goes on with the revision that the list began with and no other.
func TestContinueRevisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := lagging(t)
		to := target(t, s, "ConfigMap", "")
		page, err := s.List(admin, to, objects.ListOptions{ResourceVersion: kept, Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		yes := true
		for _, test := range []struct {
			name    string
			options objects.ListOptions
			want    string
		}{
			{"plain", objects.ListOptions{Limit: 2}, "bc@6+"},
			{"rest", objects.ListOptions{}, "bcd@6"},
			{"any version", objects.ListOptions{ResourceVersion: "0"}, "bcd@6"},
			{"another version", objects.ListOptions{ResourceVersion: kept}, "400 BadRequest"},
			{"match", objects.ListOptions{ResourceVersion: kept, ResourceVersionMatch: metav1.ResourceVersionMatchExact}, "422 Invalid"},
			{"initial events", objects.ListOptions{SendInitialEvents: &yes}, "422 Invalid"},
		} {
			test.options.Continue = page.Continue
			if got := listed(s, to, test.options); got != test.want {
				t.Errorf("%s: got %s, want %s", test.name, got, test.want)
			}
		}
		for _, name := range []string{"bb", "g", "h", "i"} {
			create(t, s, "ConfigMap", configMap(name, nil))
		}
		_, err = s.List(admin, to, objects.ListOptions{Continue: page.Continue})
		status := &apierrors.StatusError{}
		if !apierrors.IsResourceExpired(err) || !errors.As(err, &status) || status.ErrStatus.Continue == "" {
			t.Fatalf("forgotten: %v, want 410 and a token to go on with", err)
		}
		if got, want := listed(s, to, objects.ListOptions{Continue: status.ErrStatus.Continue, Limit: 2}), "bbb@12+"; got != want {
			t.Errorf("gone on with what is there now: got %s, want %s", got, want)
		}
	})
}

func TestGetRevisions(t *testing.T) {
	for _, test := range []struct{ version, name, want string }{
		{"", "f", "<nil>"}, {"0", "e", "<nil>"}, {"0", "f", "404 NotFound"}, {kept, "e", "<nil>"}, {old, "e", "<nil>"},
		{kept, "f", "404 NotFound"}, {future, "a", tooLarge}, {"x", "a", "400 BadRequest"},
	} {
		t.Run(test.version+"/"+test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := lagging(t)
				begun := time.Now()
				_, err := s.Get(admin, target(t, s, "ConfigMap", test.name), test.version)
				if got := answer(err, begun); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
			})
		})
	}
}

// A revision that another member has already comes here in a moment.
func TestRevisionThatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := lagging(t)
		go func() {
			time.Sleep(2 * time.Second)
			create(t, s, "ConfigMap", configMap("f", nil))
		}()
		if got, want := listed(s, target(t, s, "ConfigMap", ""), objects.ListOptions{ResourceVersion: "8"}), "abcdef@8"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

// Every cell of the table "watch" of Kubernetes' API concepts, and of the
// streamed lists (KEP-3157). After the initial events g is created.
func TestWatchRevisions(t *testing.T) {
	const notOlder = metav1.ResourceVersionMatchNotOlderThan
	yes, no := true, false
	for _, test := range []struct {
		version string
		initial *bool
		match   metav1.ResourceVersionMatch
		want    string
	}{
		{"", nil, "", "abcdefg"},
		{"0", nil, "", "abcdeg"},
		{kept, nil, "", "eg"},
		{old, nil, "", "cdeg"},
		{"1", nil, "", "410 Expired"},
		{"x", nil, "", "422 Invalid"},
		{"", nil, notOlder, "422 Invalid"},
		{"", &yes, notOlder, "abcdef|8 g"},
		{"0", &yes, notOlder, "abcde|7 g"},
		{kept, &yes, notOlder, "abcde|7 g"},
		{"1", &yes, notOlder, "abcde|7 g"},
		{future, &yes, notOlder, tooLarge},
		{"", &yes, "", "422 Invalid"},
		{kept, &yes, metav1.ResourceVersionMatchExact, "422 Invalid"},
		{"", &no, notOlder, "g"},
		{"0", &no, notOlder, "g"},
		{kept, &no, notOlder, "eg"},
		{"1", &no, notOlder, "410 Expired"},
	} {
		initial := "unset"
		if test.initial != nil {
			initial = fmt.Sprint(*test.initial)
		}
		t.Run(fmt.Sprintf("%s/%s/%s", test.version, initial, test.match), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got := watched(t, lagging(t), objects.WatchOptions{
					ResourceVersion: test.version, ResourceVersionMatch: test.match, SendInitialEvents: test.initial, Bookmarks: true,
				})
				if got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
			})
		})
	}
}

// watched describes what a watch sends until g, which is created once it began.
func watched(t *testing.T, s *objects.Service, o objects.WatchOptions) string {
	t.Helper()
	begun := time.Now()
	w, err := s.Watch(admin, target(t, s, "ConfigMap", ""), o)
	if err != nil {
		return answer(err, begun)
	}
	create(t, s, "ConfigMap", configMap("g", nil))
	var out string
	for {
		events, err := w.Next(t.Context())
		if err != nil {
			return out + answer(err, begun)
		}
		for _, e := range events {
			if e.Type == watch.Bookmark {
				out += fmt.Sprint("|", e.Revision, " ")
				continue
			}
			meta, err := e.Object.Meta()
			if err != nil {
				t.Fatal(err)
			}
			if out += meta.Name; meta.Name == "g" {
				return out
			}
		}
	}
}
