// Package crash holds no code but tests: they end the muster command by kill -9 at
// the points that package failpoint names of it, and look whether what is left can
// be gone on with. What a replica's process leaves when it ends is looked at by
// services/apiserver/internal/crash.
package crash
