// Package crash holds no code but tests: they end processes of the replicated
// store by kill -9, at every point that package failpoint names, one by one and
// all at once, and look whether what was acknowledged is there.
//
// Each member is a process of its own, the test's binary, which runs a replica on
// a directory and takes orders on its standard input.
package crash
