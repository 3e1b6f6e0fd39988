// Package runtime is what the agent asks of a container runtime. There are two:
// containerd (the real one) and fake (virtual time), and one conformance suite
// that both pass.
package runtime

import (
	"context"
	"io"
	"net"
	"time"
)

// Runtime runs sandboxes and containers on this node. It is called by pod
// workers, each from its own goroutine, for different pods at the same time and
// for one pod one call at a time. Every call can be repeated: what is already
// so is not an error. Errors of a missing thing wrap ErrNotFound.
type Runtime interface {
	// Pods returns what is on the node, after a restart of the agent too: all
	// sandboxes ever made and not removed, complete or half made, with their
	// containers.
	Pods(ctx context.Context) ([]Pod, error)
	// Pod returns one pod as Pods does; ErrNotFound when nothing of it is on the node.
	Pod(ctx context.Context, podUID string) (Pod, error)
	// EnsureSandbox makes the pod's namespaces (net, ipc, uts), cgroup and
	// directory; the network is attached by the caller.
	EnsureSandbox(ctx context.Context, s SandboxConfig) (Sandbox, error)
	// RemoveSandbox removes the containers and everything EnsureSandbox made.
	// The network must be detached already.
	RemoveSandbox(ctx context.Context, podUID string) error

	// CreateAndStart creates and starts a container. The image must be present.
	CreateAndStart(ctx context.Context, podUID string, c ContainerConfig) (Container, error)
	// Stop sends the stop signal, waits for at most grace and kills. It returns
	// when the container has exited.
	Stop(ctx context.Context, podUID, containerID string, grace time.Duration) error
	// Remove removes an exited container; its log file stays.
	Remove(ctx context.Context, podUID, containerID string) error

	// Resize changes the limits of a running container and what its Requirements
	// are from now on. A limit of zero is left as it is.
	Resize(ctx context.Context, podUID, containerID string, r Resources, requirements string) error
	// ResizeSandbox changes the limits of the pod as a whole; a limit of zero is
	// left as it is.
	ResizeSandbox(ctx context.Context, podUID string, r Resources) error
	// Usage returns what the pod has used, and each of its running containers by ID,
	// as the kernel counts it against limits.
	Usage(ctx context.Context, podUID string) (pod Usage, containers map[string]Usage, err error)

	// Exec runs a command in a running container, with its environment and user,
	// and returns how it ended and the first MaxOutput bytes it wrote. When ctx
	// ends the command is killed. An error says that it could not be run.
	Exec(ctx context.Context, podUID, containerID string, command []string) (output []byte, exitCode int, err error)

	// Stream runs a command as Exec does and connects it with s until it has ended
	// and all its output is written. When ctx ends the command is killed, with
	// what it started and did not detach. It is called beside the pod's worker.
	Stream(ctx context.Context, podUID, containerID string, command []string, s Streams) (exitCode int, err error)
	// Attach connects s with a running container's own program, until the program
	// ends, ctx does, or s.Stdin does; the latter ends the program's input instead
	// where the container has StdinOnce and no terminal. Input for a container
	// without Stdin is not read. It is called beside the pod's worker.
	Attach(ctx context.Context, podUID, containerID string, s Streams) error
	// EndCommands kills the commands that an agent before this one left running.
	EndCommands(ctx context.Context) error
	// Dial connects with localhost as the pod sees it. It is called beside the
	// pod's worker.
	Dial(ctx context.Context, podUID string, port uint16) (net.Conn, error)

	// Events streams exits (and OOM kills) until ctx ends. An event may be lost
	// when the runtime restarts: callers list Pods again when it returns.
	Events(ctx context.Context, yield func(Event)) error

	// Image returns a present image by reference.
	Image(ctx context.Context, ref string) (Image, error)
	// Pull fetches an image, through the configured mirrors first.
	Pull(ctx context.Context, ref string, auth *RegistryAuth) (Image, error)
	// ImportImages loads an OCI or docker archive.
	ImportImages(ctx context.Context, archive io.Reader) ([]Image, error)

	// Images lists the names of present images, with their RepoDigest; their
	// other fields may be empty.
	Images(ctx context.Context) ([]Image, error)
	// RemoveImage removes a name, and the image itself when it has no other.
	// Containers made from it run on.
	RemoveImage(ctx context.Context, ref string) error
	// ImageDisk measures the file system that holds the images.
	ImageDisk(ctx context.Context) (Disk, error)

	// Version names the runtime as Node.status.nodeInfo does: "containerd://1.6.20".
	Version(ctx context.Context) (string, error)
}

// MaxOutput is how much of a command's output Exec keeps.
const MaxOutput = 10 << 10

// SandboxConfig says what to make.
type SandboxConfig struct {
	PodUID, Namespace, Name string
	Hostname, Domainname    string
	// HostNetwork leaves the pod in the machine's net and uts namespaces.
	HostNetwork, HostIPC bool
	// SharePID puts all containers into one process namespace, whose first process
	// is none of them.
	SharePID bool
	// Handler is the runtime that runs the containers, as a RuntimeClass names it;
	// empty is the node's default. One that the node has not is an error.
	Handler string
	// Sysctls of the pod's own namespaces.
	Sysctls      map[string]string
	CgroupParent string // the pod's cgroup is made below it
	Resources    Resources
	// Annotations are kept with the sandbox and come back from Pods; the pod
	// worker keeps there what it needs to adopt the pod (its manifest's hash).
	Annotations map[string]string
}

// Sandbox is a pod's namespaces.
type Sandbox struct {
	PodUID, Namespace, Name string
	// NetNS is the path of the pinned network namespace; empty with HostNetwork.
	NetNS       string
	CgroupPath  string
	CreatedAt   time.Time
	Annotations map[string]string
	// Resources are those that the pod's cgroup was given last.
	Resources Resources
	// Ready says that everything EnsureSandbox makes is there (false when it was
	// interrupted, or the machine rebooted).
	Ready bool
}

// ContainerConfig says what to run.
type ContainerConfig struct {
	Name    string // within the pod
	Attempt int    // restarts so far
	Image   Image
	// Command and Args as in the pod's spec: empty means the image's.
	Command, Args []string
	WorkingDir    string
	Env           []string // "K=V", in order, after the image's own
	Mounts        []Mount
	Resources     Resources
	// Requirements are what Resources were made from, in the caller's words; they
	// come back from Pods. At most 4,000 bytes.
	Requirements string
	LogPath      string // CRI format; the runtime writes and rotates it
	// TTY runs the program in a terminal. With Stdin it has input, and with
	// StdinOnce no more after whoever attached first.
	TTY, Stdin, StdinOnce bool
	User                  *User // nil: the image's
	Privileged            bool
	ReadOnlyRoot          bool
	NoNewPrivs            bool
	AddCaps               []string // without CAP_; "ALL" for all
	DropCaps              []string
	HostPID               bool
	// ProcessesOf is the ID of a running container of the pod whose process
	// namespace this one shares; empty for one of its own.
	ProcessesOf string
	// StopSignal such as "SIGUSR1"; empty means the image's, else SIGTERM.
	StopSignal string
	// OOMScoreAdj is raised to the agent's own where the machine forbids less.
	OOMScoreAdj int
	// SeccompUnconfined takes the default filter away.
	SeccompUnconfined bool
	// Hash identifies the spec this was made from; comes back from Pods.
	Hash string
}

// User a container runs as; what is nil is the image's.
type User struct {
	UID, GID    *int64
	ExtraGroups []int64
}

// Mount is a bind mount, or a tmpfs when Host is empty.
type Mount struct {
	Host, Container string
	ReadOnly        bool
	// Propagation of later mounts: "" for none, "rslave" to the container,
	// "rshared" both ways.
	Propagation string
	// SizeBytes bounds a tmpfs; 0 means the kernel's default.
	SizeBytes int64
}

// Resources are limits of a cgroup; zero means none.
type Resources struct {
	CPUShares   uint64 `json:"cpuShares,omitempty"`
	CPUQuotaUS  int64  `json:"cpuQuotaUS,omitempty"` // microseconds per 100 ms period
	MemoryBytes int64  `json:"memoryBytes,omitempty"`
	PidsLimit   int64  `json:"pidsLimit,omitempty"`
}

// Usage is what a cgroup has used.
type Usage struct {
	CPU time.Duration // of all cores together
	// Memory is in use now, in bytes; WorkingSet is what of it is no cache of files
	// that the kernel could drop at once.
	Memory, WorkingSet int64
}

// State of a container.
type State int

// The states of a container, as the Kubernetes status words them.
const (
	Created State = iota
	Running
	Exited
)

// Container is one instance of a container.
type Container struct {
	ID, Name             string
	Attempt              int
	State                State
	Pid                  int
	ImageRef, ImageID    string // as asked for; digest reference
	CreatedAt, StartedAt time.Time
	FinishedAt           time.Time
	ExitCode             int
	OOMKilled            bool
	// Lost says that the runtime knows no exit code (the machine restarted).
	Lost bool
	// Err says why a container could not be started (exit code 128).
	Err  string
	Hash string
	// Requirements as ContainerConfig or the latest Resize told them.
	Requirements string
	LogPath      string
}

// Pod is a sandbox with its containers, oldest first.
type Pod struct {
	Sandbox    Sandbox
	Containers []Container
}

// Event tells that a container changed.
type Event struct {
	PodUID, ContainerID string
	OOM                 bool // else: exited
}

// Image is a present image.
type Image struct {
	Ref string // normalised: docker.io/library/busybox:latest
	ID  string // config digest: sha256:…
	// RepoDigest is Ref's repository with the manifest's digest.
	RepoDigest string
	Size       int64
	// User as the image's configuration names it; empty is root.
	User string
}

// Disk is the size of a file system and what is left of it, in bytes.
type Disk struct{ Capacity, Available int64 }

// RegistryAuth is a user of a registry.
type RegistryAuth struct{ Username, Password string }
