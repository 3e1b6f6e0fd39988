package replica

// lock is a mutex that may be held while something is waited for. For a goroutine
// that waits for a sync.Mutex the virtual time of tests does not go on.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

// Lock waits until nobody holds it.
func (l lock) Lock() { l <- struct{}{} }

// Unlock lets the next one have it.
func (l lock) Unlock() { <-l }
