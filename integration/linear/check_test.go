package linear_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/musterhq/muster/integration/linear"
)

// history is built in the order in which things happen: each operation returns
// before the next begins, but for those that overlap lets run.
type history struct {
	linear.History
	clock int64
}

func (h *history) add(request linear.Request, response linear.Response) *history {
	h.clock += 2
	if response.Outcome == "" {
		response.Outcome = linear.Done
	}
	h.Operations = append(h.Operations, linear.Operation{Client: len(h.Operations), Call: h.clock - 1, Return: h.clock, Request: request, Response: response})
	return h
}

// overlap lets the last operation have begun a number of operations earlier.
func (h *history) overlap(earlier int) *history {
	h.Operations[len(h.Operations)-1].Call -= int64(2 * earlier)
	return h
}

func (h *history) create(key, value string, at uint64) *history {
	return h.add(steps(linear.Step{Verb: linear.Create, Key: key, Value: value}), linear.Response{Revisions: []uint64{at}})
}

func (h *history) update(key, value string, at uint64) *history {
	return h.add(steps(linear.Step{Verb: linear.Update, Key: key, Value: value}), linear.Response{Revisions: []uint64{at}})
}

func (h *history) lost(s ...linear.Step) *history {
	return h.add(steps(s...), linear.Response{Outcome: linear.Unknown})
}

func (h *history) refused(reason string, at int, s ...linear.Step) *history {
	return h.add(steps(s...), linear.Response{Outcome: linear.Refused, Reason: reason, At: at})
}

func (h *history) remove(key string) *history {
	return h.add(steps(linear.Step{Verb: linear.Delete, Key: key}), linear.Response{})
}

func (h *history) get(key string, items ...linear.Item) *history {
	return h.add(linear.Request{Get: key}, linear.Response{Items: items})
}

func (h *history) list(at uint64, items ...linear.Item) *history {
	return h.add(linear.Request{List: "a"}, linear.Response{Revision: at, Items: items})
}

func steps(s ...linear.Step) linear.Request { return linear.Request{Steps: s} }

func item(key, value string, at uint64) linear.Item {
	return linear.Item{Key: key, Value: value, Revision: at}
}

func TestCheckOperations(t *testing.T) {
	update := func(key, value string) linear.Step {
		return linear.Step{Verb: linear.Update, Key: key, Value: value}
	}
	both := []linear.Step{update("a/x", "x2"), update("a/y", "y2")}
	begun := func() *history { return new(history).create("a/x", "x1", 1).create("a/y", "y1", 2) }
	for _, c := range []struct {
		name string
		h    *history
		want string // in a violation; empty when there is none
	}{
		{"in order", begun().update("a/x", "x2", 3).get("a/x", item("a/x", "x2", 3)).remove("a/x").get("a/x"), ""},
		{"an absent key is listed as absent", begun().remove("a/x").list(3, item("a/y", "y1", 2)), ""},
		{"stale read", begun().update("a/x", "x2", 3).get("a/x", item("a/x", "x1", 1)), "no order"},
		{"read of a write under way", begun().get("a/x", item("a/x", "x2", 3)).update("a/x", "x2", 3).overlap(1), ""},
		{"read of the old value while a write is under way", begun().get("a/x", item("a/x", "x1", 1)).update("a/x", "x2", 3).overlap(1), ""},
		{"lost write", begun().update("a/x", "x2", 3).get("a/y", item("a/y", "y1", 2)).list(3, item("a/x", "x1", 1), item("a/y", "y1", 2)), "no order"},
		{"lost deletion", begun().remove("a/x").get("a/x", item("a/x", "x1", 1)), "no order"},
		{"read goes back", begun().update("a/x", "x2", 3).get("a/x", item("a/x", "x2", 3)).get("a/x", item("a/x", "x1", 1)), "no order"},
		{"unknown write, done", begun().lost(update("a/x", "x2")).get("a/x", item("a/x", "x2", 3)), ""},
		{"unknown write, not done", begun().lost(update("a/x", "x2")).get("a/x", item("a/x", "x1", 1)), ""},
		{"unknown write, done late", begun().lost(update("a/x", "x2")).get("a/x", item("a/x", "x1", 1)).get("a/x", item("a/x", "x2", 3)), ""},
		{"unknown write, done and undone", begun().lost(update("a/x", "x2")).get("a/x", item("a/x", "x2", 3)).get("a/x", item("a/x", "x1", 1)), "no order"},
		{"unknown deletion, done late", begun().lost(linear.Step{Verb: linear.Delete, Key: "a/x"}).get("a/x", item("a/x", "x1", 1)).get("a/x"), ""},
		{"unknown deletion explains one absence only", begun().lost(linear.Step{Verb: linear.Delete, Key: "a/x"}).get("a/x").create("a/x", "x2", 9).get("a/x"), "no order"},
		{"applied twice", begun().lost(update("a/x", "x2")).get("a/x", item("a/x", "x2", 3)).update("a/x", "x3", 4).get("a/x", item("a/x", "x2", 5)), "applied twice"},
		{"answered with another revision than stored", begun().update("a/x", "x2", 3).get("a/x", item("a/x", "x2", 4)), "applied twice"},
		{"refused and done", begun().refused("ServiceUnavailable", 0, update("a/x", "x2")).get("a/x", item("a/x", "x2", 3)), "was refused"},
		{"value from nowhere", begun().get("a/x", item("a/x", "ghost", 3)), "nobody wrote it"},
		{"revision goes back", begun().update("a/x", "x2", 7).update("a/y", "y2", 6).list(8, item("a/x", "x2", 7), item("a/y", "y2", 6)), "no order"},
		{"list older than what was read", begun().update("a/x", "x2", 3).list(2, item("a/x", "x1", 1), item("a/y", "y1", 2)), "no order"},
		{"right conflict", begun().refused(linear.Conflict, 0, linear.Step{Verb: linear.Update, Key: "a/x", Value: "x2", If: 9}), ""},
		{"wrong conflict", begun().refused(linear.Conflict, 0, linear.Step{Verb: linear.Update, Key: "a/x", Value: "x2", If: 1}), "no order"},
		{"wrong success", begun().add(steps(linear.Step{Verb: linear.Update, Key: "a/x", Value: "x2", If: 9}), linear.Response{Revisions: []uint64{10}}), "no order"},
		{"wrong absence", begun().refused(linear.NotFound, 0, update("a/x", "x2")), "no order"},
		{"wrong presence", begun().refused(linear.AlreadyExists, 0, linear.Step{Verb: linear.Create, Key: "a/z", Value: "z"}), "no order"},
		{"transaction done", begun().add(steps(both...), linear.Response{Revisions: []uint64{3, 4}}).list(4, item("a/x", "x2", 3), item("a/y", "y2", 4)), ""},
		{"transaction half done", begun().add(steps(both...), linear.Response{Revisions: []uint64{3, 4}}).get("a/y", item("a/y", "y1", 2)), "no order"},
		{"unknown transaction half done", begun().lost(both...).list(3, item("a/x", "x2", 3), item("a/y", "y1", 2)), "no order"},
		{"transaction refused at its second step", begun().refused(linear.NotFound, 1, update("a/x", "x2"), update("a/z", "z")), ""},
		{"transaction refused at the wrong step", begun().refused(linear.NotFound, 0, update("a/x", "x2"), update("a/z", "z")), "no order"},
	} {
		t.Run(c.name, func(t *testing.T) { judge(t, &c.h.History, c.want) })
	}
}

// judge checks a history; want is in a violation, or empty.
func judge(t *testing.T, h *linear.History, want string) *linear.Report {
	t.Helper()
	report, err := linear.Check(h, 10*time.Second)
	if err != nil || report.Undecided {
		t.Fatal(err, report)
	}
	found := slices.ContainsFunc(report.Violations, func(v string) bool { return strings.Contains(v, want) })
	if want == "" && len(report.Violations) > 0 || want != "" && !found {
		t.Errorf("want %q, got:\n%s", want, strings.Join(report.Violations, "\n"))
	}
	return report
}

func TestKeysThatNothingTiesTogetherAreJudgedApart(t *testing.T) {
	h := new(history).create("a/x", "x1", 1).create("b/y", "y1", 2).get("b/y", item("b/y", "y1", 2))
	if r := judge(t, &h.History, ""); r.Parts != 2 {
		t.Errorf("%d parts", r.Parts)
	}
	h.add(steps(linear.Step{Verb: linear.Delete, Key: "a/x"}, linear.Step{Verb: linear.Delete, Key: "b/y"}), linear.Response{})
	if r := judge(t, &h.History, ""); r.Parts != 1 {
		t.Errorf("%d parts", r.Parts)
	}
}

func TestHistoryIsReadAsItWasWritten(t *testing.T) {
	h := new(history).create("a/x", "x1", 1).get("a/x")
	var file bytes.Buffer
	if err := h.Write(&file); err != nil {
		t.Fatal(err)
	}
	again, err := linear.Read(&file)
	if err != nil || len(again.Operations) != 2 {
		t.Fatal(err, again)
	}
	judge(t, again, "no order")
	report, _ := linear.Check(again, time.Second)
	if err := report.Visualize(&file); err != nil || file.Len() == 0 {
		t.Error(err, "no page")
	}
}

// A right history of a thousand operations, a tenth of them without an answer,
// is judged at once; one with a single stale read in it is refused.
func TestLongHistories(t *testing.T) {
	for seed := range uint64(5) {
		h, reads := random(rand.New(rand.NewPCG(seed, 1)), 1000)
		judge(t, &h.History, "")
		late := reads[len(reads)-1]
		h.Operations[late].Response.Items = h.Operations[reads[0]].Response.Items
		h.Operations[late].Request = h.Operations[reads[0]].Request
		judge(t, &h.History, "no order")
	}
}
