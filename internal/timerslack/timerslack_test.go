package timerslack_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/musterhq/muster/internal/timerslack"
)

// helper has the test's binary relax itself, and tell what it is then.
const helper = "MUSTER_TIMER_SLACK_TEST"

// outcome is what the helper tells: the slack of its first thread and of others,
// in nanoseconds.
type outcome struct {
	Pid     int
	Args    []string
	Marked  bool // by the environment
	Threads []int
}

func TestMain(m *testing.M) {
	if os.Getenv(helper) == "" {
		os.Exit(m.Run())
	}
	if err := timerslack.Relax(); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, marked := os.LookupEnv("MUSTER_TIMER_SLACK_SET")
	_ = json.NewEncoder(os.Stdout).Encode(outcome{Pid: os.Getpid(), Args: os.Args, Marked: marked, Threads: slackOfThreads(8)})
}

// slackOfThreads returns the slack of as many threads, which all live at once.
func slackOfThreads(n int) []int {
	slack := make([]int, n)
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		done.Go(func() {
			runtime.LockOSThread() // and ends with the goroutine
			slack[i], _ = unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0)
			ready.Done()
			ready.Wait()
		})
	}
	done.Wait()
	return slack
}

// relaxed runs the helper and returns what it tells and which process it was.
func relaxed(t *testing.T, environment ...string) (o outcome, pid int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "one", "two words")
	cmd.Env = append(append(os.Environ(), helper+"=1"), environment...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &o); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	return o, cmd.Process.Pid
}

func TestAllThreadsMayWakeLate(t *testing.T) {
	o, pid := relaxed(t, "GOMAXPROCS=2")
	if !slices.Equal(o.Threads, slices.Repeat([]int{2_000_000}, 8)) {
		t.Errorf("slack of eight threads is %v ns, want 2 ms", o.Threads)
	}
	if o.Pid != pid || !slices.Equal(o.Args[1:], []string{"one", "two words"}) || o.Marked {
		t.Errorf("process %d became %+v", pid, o)
	}
}

func TestLeftAsItIs(t *testing.T) {
	was := slackOfThreads(1)[0]
	for _, environment := range []string{
		"GOMAXPROCS=1",             // a system call would keep it from all
		"MUSTER_TIMER_SLACK_SET=1", // it has become itself again
	} {
		o, _ := relaxed(t, "GOMAXPROCS=2", environment)
		if !slices.Equal(o.Threads, slices.Repeat([]int{was}, 8)) || o.Marked {
			t.Errorf("%s: %+v, want a slack of %d ns", environment, o, was)
		}
	}
}
