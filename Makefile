# Everything that is done with this repository. `make help` lists it.
#
# A machine needs Rust (rustup), Go 1.26 or later, a C compiler, Python 3.11 or later and make.
# Everything else is built or installed by `make tools` and `make peers`, into target/.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

CARGO ?= cargo
PHASE := scripts/phase
HELM := target/tools/helm
# The build cache of `make tools` serves vet too, if both use the same settings.
GO_VET := env CGO_ENABLED=0 GOFLAGS=-trimpath go vet -C

# Tests and the demo make namespaces, rights and CRDs: never in a cluster that only happens to be
# named in the environment.
ifeq ($(USE_CLUSTER),1)
ifeq ($(KUBECONFIG),)
$(error USE_CLUSTER=1 needs KUBECONFIG)
endif
else
unexport KUBECONFIG
endif

# The demo's devices and broker: simulators of ours (embedded), or cupsd, lprint and openbrokerapi.
PEERS ?= embedded
ifeq ($(filter $(PEERS),embedded real),)
$(error PEERS is "$(PEERS)": it must be embedded or real)
endif
# Devices of the largest fleet of the benches, and devices that call a gateway.
DEVICES ?= 10000
CALLING ?= 10000
# KEEP=1 leaves the demo running and says how to look around.
KEEP ?= 0

##@ Look
.PHONY: help
help: ## Show this table
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables\n'
	@printf '  %-16s %s\n' 'PEERS=real' 'demo: cupsd, lprint and openbrokerapi instead of simulators' \
	  'KEEP=1' 'demo: leave everything running' \
	  'DEVICES=1000' 'bench: devices of the largest fleet' \
	  'CALLING=1000' 'bench: devices that call a gateway' \
	  'USE_CLUSTER=1' 'test, demo, bench: use the cluster of KUBECONFIG'

.PHONY: shows
shows: ## List the tests that show each requirement (B7, D3, ...)
	@scripts/documents --shows

.PHONY: demo
demo: tools $(if $(filter real,$(PEERS)),peers) ## Show a contract start, with one device that takes no setting and one that is off
	@$(PHASE) 'build' $(CARGO) build --locked --workspace --bins
	@target/debug/demo --peers $(PEERS) $(if $(filter 1,$(KEEP)),--keep)

.PHONY: bench
bench: tools peers ## Compare with a dumb client and with nginx on this machine; writes docs/benchmarks.md
	@$(PHASE) 'build' $(CARGO) build --locked --release -p entente-operator -p entente-bench -p entente-simulators
	@target/release/bench --devices $(DEVICES) --calling $(CALLING)

.PHONY: picture
picture: tools peers ## Draw docs/images: the dashboard from what its queries give in a test, and the board
	@$(PHASE) 'build' $(CARGO) build --locked -p entente-operator
	@ENTENTE_BOARD_PICTURE=$(CURDIR)/docs/images/board.png \
	  $(CARGO) test --locked -p entente-e2e --test it board::chromium::a_person_sees
	@ENTENTE_DASHBOARD_RESULTS=$(CURDIR)/target/dashboard.json \
	  $(CARGO) test --locked -p entente-e2e --test it every_query_of_the_dashboard
	@python3 -m venv target/picture
	@target/picture/bin/pip install --quiet --disable-pip-version-check -r contrib/grafana/requirements.txt
	@target/picture/bin/python contrib/grafana/draw target/dashboard.json docs/images/dashboard.svg

##@ Build
.PHONY: build
build: ## Build the operator for use (release)
	@$(PHASE) 'build' $(CARGO) build --locked --release -p entente-operator

.PHONY: image
image: ## Make the operator's container image, a tar, without a container engine
	@$(PHASE) 'image' env CARGO='$(CARGO)' scripts/image

.PHONY: generate
generate: ## Write manifests, the chart's CRDs, examples and the reference page
	@$(CARGO) run --locked --quiet -p entente-crds --bin crdgen
	@$(CARGO) fmt

.PHONY: manifests
manifests: tools ## Write deploy/ from the chart: install.yaml and what the overlays add
	@$(PHASE) 'manifests' scripts/manifests

.PHONY: tools
tools: ## Build control plane, kubectl, helm and the judges of GitOps into target/tools
	@$(PHASE) 'tools' e2e/install-tools

.PHONY: peers
peers: ## Install what tests talk to: IPP servers, Prometheus, Chromium, nginx (apt-get), a broker (pip), judges (pip, npm)
	@$(PHASE) 'peers' e2e/peers/install

##@ Prove
.PHONY: check
check: tools ## Format, lints, walls, comments, generated files, licences, chart, manifests; no tests
	@$(PHASE) 'format' $(CARGO) fmt --check
	@$(PHASE) 'walls' scripts/walls
	@$(PHASE) 'comments' scripts/comments
	@$(PHASE) 'dependencies' scripts/deny
	@$(PHASE) 'advisories' scripts/advisories
	@$(PHASE) 'bill of materials' scripts/sbom --check
	@$(PHASE) 'clippy' $(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	@$(PHASE) 'generated files' $(CARGO) run --locked --quiet -p entente-crds --bin crdgen -- --check
	@$(PHASE) 'documents' scripts/documents
	@$(PHASE) 'go vet, control plane' $(GO_VET) e2e/controlplane ./...
	@$(PHASE) 'go vet, tools' $(GO_VET) e2e/tools ./...
	@$(PHASE) 'go vet, judges' $(GO_VET) e2e/judges ./...
	@$(PHASE) 'chart' $(HELM) lint --strict charts/entente
	@$(PHASE) 'manifests' scripts/manifests --check

.PHONY: test
test: tools peers ## Every test of the workspace, on a real control plane and real peers
	@$(PHASE) 'build' $(CARGO) build --locked --workspace --bins
	@scripts/test

.PHONY: image-check
image-check: tools ## Prove the image: one digest of two builds, an empty root, a registry; needs root
	@$(PHASE) 'image check' env CARGO='$(CARGO)' scripts/image-check

.PHONY: advisories
advisories: ## Known weaknesses of dependencies (RustSec), by cargo-deny; needs its database
	@scripts/advisories

.PHONY: deny
deny: ## The same rules as in check, by cargo-deny itself, which must be installed
	@cargo-deny --version >/dev/null 2>&1 || { \
	  echo 'cargo-deny is missing; install it with: cargo install --locked cargo-deny' >&2; exit 1; }
	@$(CARGO) deny check bans licenses sources

##@ Tidy
.PHONY: clean-run
clean-run: ## Remove what the demo and benches left in .run
	@rm -rf .run
