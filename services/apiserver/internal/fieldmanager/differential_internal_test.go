package fieldmanager

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/randfill"

	"github.com/musterhq/muster/services/apiserver/internal/registry"
	"github.com/musterhq/muster/services/apiserver/internal/registry/catalog"
)

// words are few, so that keys and values often agree, and hard to order.
var words = []string{"a", "b", "c", "a-b", "a/b", "x.y", "A", "a1", "a10", "a2", "a}", "a:1", "-1", ""}

// filler makes random objects.
func filler(seed uint64) *randfill.Filler {
	r := rand.New(rand.NewPCG(seed, 1))
	return randfill.NewWithSeed(int64(seed)).NilChance(0.4).NumElements(0, 3).MaxDepth(9).Funcs(
		func(n *int32, _ randfill.Continue) { *n = int32(r.IntN(12)) },
		func(n *int64, _ randfill.Continue) { *n = int64(r.IntN(12)) },
		func(t *metav1.Time, _ randfill.Continue) {
			if n := r.IntN(3); n > 0 {
				*t = metav1.NewTime(time.Unix(int64(n), int64(r.IntN(2))).In([]*time.Location{time.UTC, time.FixedZone("x", 3600)}[r.IntN(2)]))
			}
		},
		func(t *metav1.MicroTime, _ randfill.Continue) {
			*t = metav1.NewMicroTime(time.Unix(1, int64(r.IntN(3))*999))
		},
		func(q *resource.Quantity, _ randfill.Continue) {
			*q = resource.MustParse([]string{"1", "1000m", "2Gi", "0", "2048Mi"}[r.IntN(5)])
		},
		func(i *intstr.IntOrString, _ randfill.Continue) {
			*i = []intstr.IntOrString{intstr.FromInt32(1), intstr.FromString("1"), intstr.FromString("25%")}[r.IntN(3)]
		},
		func(raw *runtime.RawExtension, _ randfill.Continue) { raw.Raw = []byte(`{"a":1}`) },
		func(f *metav1.FieldsV1, _ randfill.Continue) { f.SetRawString(`{"f:a":{}}`) },
		func(f *[]metav1.ManagedFieldsEntry, _ randfill.Continue) { *f = nil },
	)
}

// pair are two trackers: one that walks, and one that only asks the library.
type pair struct{ walking, asking *Tracker }

func newPair(t testing.TB) (pair, []*registry.Kind) {
	t.Helper()
	kinds := catalog.All(registry.Options{})
	p := pair{New(kinds), New(kinds)}
	for _, k := range kinds {
		for _, sub := range []string{"", status} {
			known, err := p.asking.of(k, sub)
			if err != nil {
				t.Fatal(err)
			}
			known.shape = nil
		}
	}
	return p, kinds
}

// update writes obj by both, and returns what they made of it.
func (p pair) update(k *registry.Kind, sub string, live, obj registry.Object, manager string, at time.Time) (walked, asked registry.Object) {
	walked, asked = obj, obj.DeepCopyObject().(registry.Object)
	p.walking.Update(k, sub, live, walked, manager, at)
	if live != nil {
		live = live.DeepCopyObject().(registry.Object)
	}
	p.asking.Update(k, sub, live, asked, manager, at)
	return walked, asked
}

// entriesOf prints entries, without times: the library takes them from the clock.
func entriesOf(obj registry.Object) string {
	out := ""
	for _, e := range obj.GetManagedFields() {
		out += fmt.Sprintf("%s %s %q %s %s\n", e.Manager, e.Operation, e.Subresource, e.APIVersion, e.FieldsV1.GetRawString())
	}
	return out
}

// TestWalk compares the walk with the library, for random objects of all kinds through
// random changes by random managers.
func TestWalk(t *testing.T) {
	p, kinds := newPair(t)
	for _, k := range kinds {
		t.Run(k.GVK.Kind, func(t *testing.T) {
			walked := 0
			for seed := range uint64(seeds) {
				walked += walkOnce(t, p, k, seed, none)
			}
			// Lists of random items often have two of one key.
			if known, _ := p.walking.of(k, ""); known.shape != nil && walked < seeds*steps/10 {
				t.Errorf("walked only %d of %d", walked, seeds*steps)
			}
		})
	}
}

// FuzzWalk is TestWalk for as long as one likes.
func FuzzWalk(f *testing.F) {
	f.Add(uint64(1), uint(0))
	p, kinds := newPair(f)
	f.Fuzz(func(t *testing.T, seed uint64, kind uint) {
		walkOnce(t, p, kinds[kind%uint(len(kinds))], seed, none)
	})
}

// FuzzSent is FuzzWalk with clients that send managed fields: those that they got, some
// of these, others.
func FuzzSent(f *testing.F) {
	for i, text := range []string{
		`[{"manager":"x","operation":"Update","apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:metadata":{"f:labels":{".":{},"f:a":{}}}}}]`,
		`[{"manager":"x","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{".":{},"f:image":{}}}}}},{"manager":"y","operation":"Update","subresource":"status","apiVersion":"v2","fieldsType":"FieldsV1","fieldsV1":{"f:status":{}}}]`,
		`[{"manager":"x","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"v:\"a\"":{},"i:0":{},"f:":{}}}]`,
		`[{}]`, `[{"manager":"x"},{"manager":"x"}]`, `[{"operation":"Apply","fieldsV1":{"k:{":{}}}]`, `[{"operation":"Delete","apiVersion":"v1","fieldsType":"FieldsV2","fieldsV1":{}}]`, `[]`, `null`,
	} {
		f.Add(uint64(i), uint(2*i), []byte(text))
	}
	p, kinds := newPair(f)
	f.Fuzz(func(t *testing.T, seed uint64, kind uint, text []byte) {
		var others []metav1.ManagedFieldsEntry
		if json.Unmarshal(text, &others) != nil {
			return
		}
		walkOnce(t, p, kinds[kind%uint(len(kinds))], seed, func(r *rand.Rand, live registry.Object) []metav1.ManagedFieldsEntry {
			return sentFields(r, live, others)
		})
	})
}

// none is what most clients send of managed fields.
func none(*rand.Rand, registry.Object) []metav1.ManagedFieldsEntry { return nil }

func sentFields(r *rand.Rand, live registry.Object, others []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var entries []metav1.ManagedFieldsEntry
	if live != nil {
		entries = slices.Clone(live.GetManagedFields())
	}
	switch n := len(entries); r.IntN(6) {
	case 0:
		return nil
	case 1:
		return entries
	case 2:
		return append(entries, others...)
	case 3:
		return entries[:n/2]
	case 4:
		if n > 0 {
			entries[r.IntN(n)].Manager = "renamed"
		}
		return entries
	}
	return slices.Clone(others)
}

const (
	seeds = 5 // per kind
	steps = 6 // per seed
)

// walkOnce makes an object, changes it, and returns how often the walk could do.
func walkOnce(t *testing.T, p pair, k *registry.Kind, seed uint64, sent func(*rand.Rand, registry.Object) []metav1.ManagedFieldsEntry) (walked int) {
	t.Helper()
	// The library takes the time from the clock, which stands still in a bubble.
	synctest.Test(t, func(t *testing.T) {
		fill, r := filler(seed), rand.New(rand.NewPCG(seed, 2))
		var live registry.Object
		for step := range steps {
			obj := k.New()
			fill.Fill(obj)
			reword(r, reflect.ValueOf(obj), r.IntN(6) == 0)
			sub := ""
			if live != nil {
				obj = mixed(r, live, obj, 0.85)
				if r.IntN(3) == 0 {
					sub = status
				}
			}
			obj.SetManagedFields(sent(r, live))
			obj.SetUID("1")
			obj = stored(t, k, obj)
			manager := []string{"", "a", "b", "c"}[r.IntN(4)]
			known, err := p.walking.of(k, sub)
			if err != nil {
				t.Fatal(err)
			}
			if known.shape != nil && known.walk(&differ{}, live, obj.DeepCopyObject().(registry.Object), manager, time.Now()) {
				walked++
			}
			ours, theirs := p.update(k, sub, live, obj, manager, time.Now())
			if got, want := entriesOf(ours), entriesOf(theirs); got != want {
				t.Fatalf("seed %d, step %d, %q by %q:\ngot\n%swant\n%s", seed, step, sub, manager, got, want)
			}
			live = stored(t, k, ours)
		}
	})
	return walked
}

// reword makes all texts those of a few words, and where hard is set some that need
// escaping.
func reword(r *rand.Rand, v reflect.Value, hard bool) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(words[r.IntN(len(words))])
			if hard && r.IntN(20) == 0 {
				v.SetString("<\"ä")
			}
		}
	case reflect.Struct:
		if _, ok := marshaled[v.Type()]; !ok {
			for i := range v.NumField() {
				reword(r, v.Field(i), hard)
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			reword(r, v.Index(i), hard)
		}
	case reflect.Pointer:
		reword(r, v.Elem(), hard)
	case reflect.Map:
		rewordMap(r, v, hard)
	}
}

func rewordMap(r *rand.Rand, v reflect.Value, hard bool) {
	for _, key := range v.MapKeys() {
		value := reflect.New(v.Type().Elem()).Elem()
		value.Set(v.MapIndex(key))
		reword(r, value, hard)
		v.SetMapIndex(key, reflect.Value{})
		v.SetMapIndex(reflect.ValueOf(words[r.IntN(len(words))]).Convert(v.Type().Key()), value)
	}
}

// stored returns obj as it is read back from the store: in lists the library tells
// apart what is the same in JSON (empty and nil, zones of times), so that there must
// be one form of each.
func stored(t *testing.T, k *registry.Kind, obj registry.Object) registry.Object {
	t.Helper()
	raw, err := obj.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	out := k.New()
	if err := out.Unmarshal(raw); err != nil {
		t.Fatal(err)
	}
	out.GetObjectKind().SetGroupVersionKind(k.GVK)
	return out
}

// mixed returns a copy of before in which some parts are as in after.
func mixed(r *rand.Rand, before, after registry.Object, stay float64) registry.Object {
	out := before.DeepCopyObject().(registry.Object)
	mix(r, reflect.ValueOf(out).Elem(), reflect.ValueOf(after).Elem(), stay)
	return out
}

func mix(r *rand.Rand, to, from reflect.Value, stay float64) {
	switch to.Kind() {
	case reflect.Struct:
		if _, ok := marshaled[to.Type()]; ok {
			break
		}
		for i := range to.NumField() {
			if to.Field(i).CanSet() {
				mix(r, to.Field(i), from.Field(i), stay)
			}
		}
		return
	case reflect.Slice:
		if to.Len() > 0 && r.Float64() < 0.7 {
			for i := range min(to.Len(), from.Len()) {
				mix(r, to.Index(i), from.Index(i), stay)
			}
			return
		}
	case reflect.Pointer:
		if !to.IsNil() && !from.IsNil() {
			mix(r, to.Elem(), from.Elem(), stay)
			return
		}
	case reflect.Map:
		if !to.IsNil() && !from.IsNil() && r.Float64() < 0.7 {
			for _, key := range from.MapKeys() {
				if r.Float64() > stay {
					to.SetMapIndex(key, from.MapIndex(key))
				}
			}
			return
		}
	}
	if r.Float64() > stay {
		to.Set(from)
	}
}
