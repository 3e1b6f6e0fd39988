package image

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/musterhq/muster/agent/runtime"
)

// When images are removed, as in Kubernetes.
const (
	highPercent = 85 // of the disk in use: removing begins
	lowPercent  = 80 // and ends
	youngest    = 2 * time.Minute
)

// excess is how many bytes to free so that a disk comes down to a percentage in
// use; 0 or less for none.
func excess(d runtime.Disk, percent int64) int64 {
	return d.Capacity/100*(100-percent) - d.Available
}

// ledger remembers when an image was first seen and when it was last in use, by
// reference. A restart of the agent begins a new one.
type ledger map[string]entry

type entry struct{ seen, used time.Time }

// note enters what is on the node now and forgets what is not.
func (l ledger) note(images []runtime.Image, pods []runtime.Pod, now time.Time) {
	inUse := map[string]bool{}
	for i := range pods {
		for _, c := range pods[i].Containers {
			inUse[c.ImageRef], inUse[digest(c.ImageID)] = true, true
		}
	}
	present := map[string]bool{}
	for _, i := range images {
		present[i.Ref] = true
		e, ok := l[i.Ref]
		if !ok {
			e.seen = now
		}
		if inUse[i.Ref] || inUse[digest(i.RepoDigest)] {
			e.used = now
		}
		l[i.Ref] = e
	}
	for ref := range l {
		if !present[ref] {
			delete(l, ref)
		}
	}
}

// digest of a repository's image; two repositories may hold the same one.
func digest(repoDigest string) string {
	_, d, _ := strings.Cut(repoDigest, "@")
	return d
}

// removable are the images that nobody used when the ledger was noted at now, the
// one out of use for the longest first. One that was pulled lately is kept: its
// container may be about to be made.
func (l ledger) removable(now time.Time) []string {
	var refs []string
	for ref, e := range l {
		if e.used.Before(now) && now.Sub(e.seen) >= youngest {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, func(a, b string) int {
		return cmp.Or(l[a].used.Compare(l[b].used), l[a].seen.Compare(l[b].seen), cmp.Compare(a, b))
	})
	return refs
}
