package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"gopkg.in/natefinch/lumberjack.v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"

	authenticationv1 "k8s.io/api/authentication/v1"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/auth"
)

// Config says what is written down, and where.
type Config struct {
	// PolicyFile holds the policy; without one nothing is written down.
	PolicyFile string
	// Path of the log; "-" is the standard output.
	Path string
	// MaxAge is for how many days, MaxBackups how many old files are kept; 0 is no
	// limit. MaxSize is how large the file gets before it becomes an old one, in MiB;
	// 100 if 0.
	MaxAge, MaxBackups, MaxSize int
}

// Log is where events go. A nil one takes none. It may be used from any goroutine.
type Log struct {
	policy     *auditv1.Policy
	out        io.Writer
	authorizer *auth.Authorizer
	logger     *slog.Logger
}

// Open returns the log, nil where nothing is to be written down. The authorizer says why
// requests are allowed.
func Open(c Config, authorizer *auth.Authorizer, logger *slog.Logger) (*Log, error) {
	if c.PolicyFile == "" && c.Path == "" {
		return nil, nil
	}
	if c.PolicyFile == "" || c.Path == "" {
		return nil, errors.New("open audit log: both a policy (--audit-policy-file) and a path (--audit-log-path) are needed")
	}
	policy, err := LoadPolicy(c.PolicyFile)
	if err != nil {
		return nil, err
	}
	var out io.Writer = os.Stdout
	if c.Path != "-" {
		file := &lumberjack.Logger{Filename: c.Path, MaxAge: c.MaxAge, MaxBackups: c.MaxBackups, MaxSize: c.MaxSize}
		if _, err := file.Write(nil); err != nil {
			return nil, fmt.Errorf("open audit log: %w", err)
		}
		out = file
	}
	return New(policy, out, authorizer, logger), nil
}

// New returns a log that writes to out, which must take writes from any goroutine.
func New(policy *auditv1.Policy, out io.Writer, authorizer *auth.Authorizer, logger *slog.Logger) *Log {
	return &Log{policy: policy, out: out, authorizer: authorizer, logger: logger.With("component", "audit")}
}

// Close closes the file.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	if c, ok := l.out.(*lumberjack.Logger); ok {
		return c.Close()
	}
	return nil
}

// Call is what is known of a request when it comes.
type Call struct {
	// Request that is made; its user is who makes it, in whose name ever.
	auth.Request
	// Version of the API that an object is asked for in.
	Version string
	// ID of the request, where the client gave one.
	ID string
	// URI that is asked for, and by what program from where.
	URI, UserAgent string
	SourceIPs      []string
}

// Begin writes down that a request has come, and returns what its outcome is to be
// told; nil where nothing of it is to be written down.
func (l *Log) Begin(c Call) *Entry {
	if l == nil {
		return nil
	}
	as := c.User
	if as.By != nil {
		c.User = *as.By
	}
	config := configOf(l.policy, &c.Request)
	if config.level == auditv1.LevelNone || config.level == "" {
		return nil
	}
	e := &Entry{log: l, config: config, event: auditv1.Event{
		TypeMeta: metav1.TypeMeta{Kind: "Event", APIVersion: auditv1.SchemeGroupVersion.String()},
		Level:    config.level, AuditID: types.UID(c.ID), RequestURI: c.URI, Verb: c.Verb, User: userInfo(c.User),
		SourceIPs: c.SourceIPs, UserAgent: truncated(c.UserAgent), RequestReceivedTimestamp: metav1.NowMicro(),
	}}
	if e.event.AuditID == "" {
		e.event.AuditID = uuid.NewUUID()
	}
	if as.By != nil {
		info := userInfo(as)
		e.event.ImpersonatedUser = &info
	}
	if c.Path == "" {
		e.event.ObjectRef = &auditv1.ObjectReference{
			Resource: c.Resource.Resource, Namespace: c.Namespace, Name: c.Name,
			APIGroup: c.Resource.Group, APIVersion: c.Version, Subresource: c.Subresource,
		}
	}
	e.stage(auditv1.StageRequestReceived)
	c.User = as
	e.allowed, e.reason = l.authorizer.Decide(c.Request)
	return e
}

// maxUserAgent is how much of a program's name is written down, as with Kubernetes.
const maxUserAgent = 1024

func truncated(agent string) string {
	if len(agent) > maxUserAgent {
		return agent[:maxUserAgent] + "...TRUNCATED"
	}
	return agent
}

func userInfo(user access.User) authenticationv1.UserInfo {
	out := authenticationv1.UserInfo{Username: user.Name, UID: user.UID, Groups: user.Groups}
	for key, values := range user.Extra {
		if out.Extra == nil {
			out.Extra = map[string]authenticationv1.ExtraValue{}
		}
		out.Extra[key] = values
	}
	return out
}

// write appends an event to the log. What cannot be written is told, and not asked for
// again: a full disk must not end the cluster.
func (l *Log) write(event *auditv1.Event) {
	line, err := json.Marshal(event)
	if err == nil {
		_, err = l.out.Write(append(line, '\n'))
	}
	if err != nil {
		l.logger.Error("event not written", "auditID", event.AuditID, "error", err)
	}
}

func (c config) omits(stage auditv1.Stage) bool { return slices.Contains(c.omitStages, stage) }

// now is when a stage is reached.
func now() metav1.MicroTime { return metav1.NewMicroTime(time.Now()) }
