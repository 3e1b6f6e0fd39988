// Package rest is the Kubernetes REST door to the objects: it reads requests,
// calls the objects service and writes answers in the form that was asked for.
package rest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/musterhq/muster/internal/access"
	"github.com/musterhq/muster/services/apiserver/internal/audit"
	"github.com/musterhq/muster/services/apiserver/internal/fairness"
	"github.com/musterhq/muster/services/apiserver/internal/objects"
	"github.com/musterhq/muster/services/apiserver/internal/openapi"
)

const (
	bodyLimit      = 3 << 20 // bytes
	requestTimeout = 60 * time.Second
)

// Authenticator tells who makes a request, and in whose name: an error is 401 unless it
// is an API status, and a request without credentials is the anonymous user's.
type Authenticator interface {
	Authenticate(r *http.Request) (access.User, error)
}

// Config is what New needs.
type Config struct {
	Objects       *objects.Service
	Authenticator Authenticator
	Agents        Agents
	// Gate hands out seats; nil is one with the default limits for this door alone.
	Gate *fairness.Gate
	// StallLimit is how long a client may take nothing of its answer, or send nothing
	// of its request, until it is cut off; 30 s if 0.
	StallLimit time.Duration
	// Version is the build of Muster, Date its time in RFC 3339.
	Version, Commit, Date string
	// Extra serves paths of other parts ("/v2/"), by prefix; they see the user
	// in the request's context and authorise for themselves.
	Extra map[string]http.Handler
	// Audit writes down what is asked for; nil is nothing.
	Audit *audit.Log
	// Documents are served at their paths to those who may see them.
	Documents map[string]http.Handler
	Logger    *slog.Logger
}

// Handler serves the REST API.
type Handler struct {
	objects *objects.Service
	authn   Authenticator
	agents  Agents
	gate    *fairness.Gate
	stall   time.Duration
	info    versionInfo
	schemas *openapi.Cache
	extra   map[string]http.Handler
	logger  *slog.Logger

	documents map[string]http.Handler
	auditLog  *audit.Log
}

// New returns a Handler.
func New(cfg Config) (*Handler, error) {
	if cfg.Objects == nil || cfg.Authenticator == nil || cfg.Agents == nil || cfg.Logger == nil {
		return nil, errors.New("new REST handler: objects, authenticator, agents and logger are required")
	}
	if cfg.Gate == nil {
		cfg.Gate = fairness.New(fairness.DefaultLimits())
	}
	info := newVersionInfo(cfg)
	return &Handler{
		objects: cfg.Objects, authn: cfg.Authenticator, agents: cfg.Agents, gate: cfg.Gate, stall: cmp.Or(cfg.StallLimit, stallLimit), info: info,
		schemas: openapi.NewCache(cfg.Objects.Kinds().Kinds(), info.GitVersion),
		extra:   cfg.Extra, documents: cfg.Documents, auditLog: cfg.Audit, logger: cfg.Logger.With("component", "rest"),
	}, nil
}

// ServeHTTP answers one request. Panics end here.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sent := newTracked(w, h.stall)
	defer sent.leave()
	defer func() {
		cause := recover()
		if err, ok := cause.(error); cause == nil || ok && errors.Is(err, http.ErrAbortHandler) {
			return
		}
		if w := sent.record; w != nil {
			w.entry.Panicked(fmt.Sprint(cause))
		}
		h.logger.Error("panic while answering", "method", r.Method, "path", r.URL.Path, "panic", cause, "stack", string(debug.Stack()))
		if sent.started {
			panic(http.ErrAbortHandler) // The client must not take half an answer for a whole one.
		}
		h.fail(sent, r, apierrors.NewInternalError(fmt.Errorf("panic while answering %s %s", r.Method, r.URL.Path)))
	}()
	if err := h.serve(sent, r); err != nil {
		h.fail(sent, r, err)
	}
	h.audited(sent, r)
}

func (h *Handler) serve(w *tracked, r *http.Request) error {
	if h.serveHealth(w, r) {
		return nil
	}
	user, err := h.authn.Authenticate(r)
	h.audit(w, r, user)
	if known := apierrors.APIStatus(nil); errors.As(err, &known) {
		return err // The caller may not act in the name that it wants to.
	}
	if err != nil {
		h.logger.Info("request refused", "path", r.URL.Path, "from", r.RemoteAddr, "cause", err)
		return apierrors.NewUnauthorized("Unauthorized")
	}
	r = r.WithContext(access.WithUser(r.Context(), user))
	for prefix, extra := range h.extra {
		if strings.HasPrefix(r.URL.Path, prefix) {
			w.last()
			r.Body = watchedBody{r.Body, w, r.Context()}
			extra.ServeHTTP(w, r)
			return nil
		}
	}
	if err := h.seat(w, r); err != nil {
		return err
	}
	if err := h.authorizePath(r); err != nil {
		return err
	}
	if document, ok := h.documents[r.URL.Path]; ok {
		document.ServeHTTP(w, r)
		return nil
	}
	if r.URL.Path == "/version" || r.URL.Path == "/version/" {
		return writeJSON(w, http.StatusOK, h.info)
	}
	if done, err := h.serveDocuments(w, r); done {
		return err
	}
	return h.serveObjects(w, r)
}

func (h *Handler) serveObjects(w *tracked, r *http.Request) error {
	route, ok := parseRoute(r.URL.Path)
	if !ok {
		if err := h.authorize(r, pathRequest(r)); err != nil {
			return err
		}
		return notFound()
	}
	if route.resource == "" {
		return h.resourceList(w, r, route.gv)
	}
	if route.watch {
		var err error
		if r, err = route.asWatch(r); err != nil {
			return err
		}
	}
	target, ok := h.target(route)
	if !ok {
		if err := h.authorizeAbsent(r, route); err != nil {
			return err
		}
		if done, err := serveNoCustomResources(w, r); done {
			return err
		}
		return notFound()
	}
	if target.Kind.Deprecated != "" {
		addWarning(w, target.Kind.Deprecated)
	}
	verb := h.verbOf(r, target)
	if verb == nil {
		if err := h.authorizeAbsent(r, route); err != nil {
			return err
		}
		return apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, strings.ToLower(r.Method), schema.GroupResource{}, "", "", 0, false)
	}
	watching := target.Name == "" && isWatch(r)
	if watching || streamFuncs[target.Subresource] != nil {
		w.last()
		if !watching {
			w.leave() // A watch holds a seat until it has told the present state.
		}
		return verb(h, w, r, target)
	}
	timeout, err := timeoutOf(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	r.Body = http.MaxBytesReader(w, watchedBody{r.Body, w, ctx}, bodyLimit)
	return verb(h, w, r.WithContext(ctx), target)
}

// timeoutOf is how long the request may take: what it asks for, and not more than
// is usual.
func timeoutOf(r *http.Request) (time.Duration, error) {
	text := parameter(r, "timeout")
	if text == "" {
		return requestTimeout, nil
	}
	asked, err := time.ParseDuration(text)
	if err != nil {
		return 0, apierrors.NewBadRequest("invalid timeout specified in the request URL - " + err.Error())
	}
	if asked <= 0 || asked > requestTimeout {
		return requestTimeout, nil
	}
	return asked, nil
}

// parameter is a parameter of the query.
func parameter(r *http.Request, name string) string {
	if r.URL.RawQuery == "" {
		return ""
	}
	return r.URL.Query().Get(name)
}

func notFound() *apierrors.StatusError {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
		Message: "the server could not find the requested resource", Details: &metav1.StatusDetails{},
	}}
}

// fail writes an error; it is the one place that maps errors to HTTP.
func (h *Handler) fail(w *tracked, r *http.Request, err error) {
	if w.started {
		h.logger.Debug("answer broke off", "path", r.URL.Path, "cause", err)
		return
	}
	status := h.statusOf(r, err)
	if w.record != nil {
		w.record.status = &status
	}
	if status.Details != nil && status.Details.RetryAfterSeconds > 0 {
		w.Header().Set("Retry-After", fmt.Sprint(status.Details.RetryAfterSeconds))
	}
	if r.Method == http.MethodHead {
		w.WriteHeader(int(status.Code))
		return
	}
	if err := writeStatus(w, r, int(status.Code), &status); err != nil {
		h.logger.Debug("error not written", "path", r.URL.Path, "cause", err)
	}
}

func (h *Handler) statusOf(r *http.Request, err error) metav1.Status {
	var known apierrors.APIStatus
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &known):
	case errors.As(err, &large):
		known = apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("limit is %d", bodyLimit))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		known = apierrors.NewTimeoutError("request did not complete within the allotted timeout", 0)
	case errors.Is(err, context.Canceled):
		known = apierrors.NewGenericServerResponse(http.StatusServiceUnavailable, r.Method, schema.GroupResource{}, "", "the request was cancelled", 0, false)
	default:
		h.logger.Error("request broke", "method", r.Method, "path", r.URL.Path, "error", err)
		known = apierrors.NewInternalError(err)
	}
	status := known.Status()
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	if status.Code == 0 {
		status.Code = http.StatusInternalServerError
	}
	return status
}
