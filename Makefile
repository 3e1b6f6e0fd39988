# Everything a newcomer needs is `make up` and `make test`. `make help` lists the rest.
SHELL      := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
NAME       ?= dev
DATA_DIR   ?= /var/lib/muster-dev/$(NAME)
VERSION    ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo v0.0.0-dev)
COMMIT     ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)
# When the commit was made: the same source makes the same binary.
DATE       ?= $(shell TZ=UTC0 git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || echo 1970-01-01T00:00:00Z)
STAMP      := github.com/musterhq/muster/internal/version
LDFLAGS    := -s -w -X $(STAMP).Version=$(VERSION) -X $(STAMP).Commit=$(COMMIT) -X $(STAMP).Date=$(DATE)
GO_BUILD   := CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)'
# kubectl 1.N is module version 0.N.
KUBERNETES  = $(shell sed -n 's|.*k8s.io/kubectl v0\(\S*\).*|v1\1|p' integration/go.mod)
KUBECTL     = $(foreach m,component-base/version client-go/pkg/version,-X k8s.io/$m.gitVersion=$(KUBERNETES) -X k8s.io/$m.gitMajor=1 -X k8s.io/$m.gitMinor=$(word 2,$(subst ., ,$(KUBERNETES))))
# Tools have versions of their own, so they are built outside of the workspace.
TOOL       := GOWORK=off go tool -modfile=scripts/tools.mod
INPLACE    := $(foreach p,muster/store muster/api muster/cluster/v1/replica.proto,--path proto/$p)
GENERATE   := $(TOOL) buf generate && $(TOOL) buf generate --template buf.gen.inplace.yaml $(INPLACE) && go generate ./services/apiserver/internal/openapi ./services/apiserver/internal/descriptors
GENERATED  := { find proto -name '*.pb.go'; echo services/apiserver/internal/openapi/markers.txt; echo services/apiserver/internal/descriptors/kubernetes.binpb.gz; } | sort
PACKAGES   := ./... ./proto/... ./sdk/... ./integration/...
# Packages whose tests need root, containerd or the kernel; those with the build tag.
ROOT_TESTS  = $(shell grep -rlE --include='*_test.go' '^//go:build root' agent cmd internal services sdk integration | xargs -r -n1 dirname | sort -u | sed 's|^|./|')
export KUBECONFIG := $(DATA_DIR)/kubeconfig
# Where make setup puts Go when the machine has none that is new enough.
export PATH := $(CURDIR)/build/go/bin:$(PATH)
# The version is stamped above; asking git as well fails in a clone of another user.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)

.DEFAULT_GOAL := help
.PHONY: help setup build images up down check fuzz test-root test-vm test-power test-frozen test-compose-vm test race bench bench-store bench-api conformance chaos-sim chaos chaos-compose crash-points compose-setup compose-up compose-down compose-check lint proto check-generated debian-kubectl

help: ## List the targets
	@echo 'make up and make test are all that is needed to begin. The targets:'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## Install the Debian packages and the Go that are missing, and nothing else
	@scripts/setup

build: ## Build bin/muster (static, version stamped) and bin/kubectl
	@mkdir -p bin
	$(GO_BUILD) -o bin/muster ./cmd/muster
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w $(KUBECTL)' -o bin/kubectl ./integration/kubectl

images: build ## Build the images of deploy/examples into build/images
	@scripts/images

up: setup build images ## Start a cluster (3 servers, 2 nodes), run the examples, ask the Service
	@scripts/up $(NAME) $(DATA_DIR)

down: ## Remove that cluster and all of it
	@[ -x bin/muster ] || $(MAKE) --no-print-directory build
	@bin/muster dev down --name $(NAME) --data-dir $(DATA_DIR)

compose-setup:
	@scripts/setup $$(deploy/compose/engine packages)

compose-up: compose-setup build images ## The same as containers, with docker: 3 apiservers, 2 + 2 others, 3 nodes
	@deploy/compose/up

compose-down: ## Remove those containers and all of them
	@deploy/compose/down

compose-check: compose-setup build images ## Test that cluster: up, break it, down, nothing left; needs root
	cd integration && go test -tags compose -count 1 -timeout 15m -v ./compose

check: ## Unit tests and clusters in virtual time; no root needed
	go test -timeout 5m $(PACKAGES)

test-root: build images debian-kubectl ## Tests with real processes, containerd and the kernel; needs root
	go test -tags root -p 1 -count 1 -timeout 15m $(ROOT_TESTS)

test-vm: build images ## IPVS and the main job on Debian's kernel, under QEMU
	scripts/test-vm

test-power: ## Cut the power of a machine in QEMU that runs a cluster, and look what is left
	scripts/test-vm power

test-frozen: ## Freeze the disk under a leader, and look that others go on; needs root and loop devices
	go test -tags root,freeze -count 1 -timeout 5m -v -run Frozen ./services/apiserver/internal/crash

test-compose-vm: build images ## The cluster of containers on Debian's kernel, cgroup v2 and IPVS, under QEMU; takes long
	@scripts/setup mmdebstrap
	@deploy/compose/images base
	scripts/vm-compose

test: ## All tests; what this machine cannot run is named (with CI=true that is a failure)
	@scripts/test

race: ## Unit tests with the race detector
	go test -race -timeout 15m $(PACKAGES)

fuzz: ## Fuzz every decoder and parser for DURATION=30s each; ONLY=Patch for some (make check runs the seeds)
	@scripts/fuzz $(or $(DURATION),30s) "$(ONLY)"

bench: build images ## Measure the main job; prints a table, writes build/bench/*.json
	go run ./integration/cmd/bench

bench-store: ## Measure the store beside etcd's; ARGS='-run put/members=3 -rounds 1', or -growth
	@scripts/setup etcd-server
	go run ./integration/cmd/bench-store $(ARGS)

bench-api: build images debian-kubectl ## Measure the Kubernetes API with client-go; ARGS='-run create/members=1 -rounds 1'; needs root
	go run ./integration/cmd/bench-api $(ARGS)

chaos-sim: ## Break clusters in virtual time and judge what clients saw: SEEDS=100, SEED=x for one
	@go run ./integration/cmd/chaos sim -seeds $(or $(SEEDS),100) -seed $(or $(SEED),0)

chaos: build ## The same with real processes for DURATION=10m; needs root
	@go run ./integration/cmd/chaos run -duration $(or $(DURATION),10m) -seed $(or $(SEED),0)

chaos-compose: compose-setup build ## The same with the containers of make compose-up
	@go run ./integration/cmd/chaos run -compose -duration $(or $(DURATION),10m) -seed $(or $(SEED),0)

conformance: NAME = conformance
conformance: build ## Run Kubernetes' conformance suite: FOCUS='\[sig-cli\]', ARGS='-timeout 1h'; needs root, takes hours
	@scripts/setup mmdebstrap
	@scripts/conformance $(NAME) $(DATA_DIR) -focus '$(FOCUS)' $(ARGS)

crash-points: ## Kill members at every point of internal/failpoint, and all of them at once
	go test -count 1 -timeout 15m -v ./services/apiserver/internal/crash -args -every

lint: ## Vet, golangci-lint and buf lint
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo 'lint: gofmt these:'; gofmt -l $$(git ls-files '*.go'); exit 1; }
	golangci=$$($(TOOL) -n golangci-lint); $$golangci run $(PACKAGES); $$golangci run --build-tags root $(ROOT_TESTS); $$golangci run --build-tags compose ./integration/compose; $$golangci run --build-tags root,freeze ./services/apiserver/internal/crash
	$(TOOL) buf lint

proto: ## Generate Go from the protos, and the table of markers from k8s.io/api
	$(GENERATE)

check-generated: ## Fail when what is generated is not what the sources say
	@before=$$($(GENERATED) | xargs sha256sum); \
	$(GENERATE); \
	[ "$$before" = "$$($(GENERATED) | xargs sha256sum)" ] || \
	{ echo 'check-generated: the sources changed; commit what `make proto` makes'; git diff --stat -- $$($(GENERATED)); exit 1; }
	@for module in . proto sdk integration; do (cd $$module && GOWORK=off go mod tidy -diff >/dev/null) || \
	{ echo "check-generated: $$module/go.mod is not tidy; run GOWORK=off go mod tidy there"; exit 1; }; done
	@echo 'check-generated: up to date'

debian-kubectl:
	@scripts/debian-file kubernetes-client usr/bin/kubectl
