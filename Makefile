# Everything runs in the project's own environment (.venv). uv makes it; where uv is missing, it goes into .uv/ of this folder.
SHELL := /bin/sh
PYTHON ?= python3
UV_VERSION := 0.13.8
UV := $(shell command -v uv || echo .uv/bin/uv)
export PATH := $(CURDIR)/.uv/bin:$(PATH)
export UV_FROZEN := 1
# uv trusts the certificates of the system, so a proxy with a company's own authority works. pip does from 24.2 on. An
# older one is told where they are, if it fails as it is set up.
export UV_SYSTEM_CERTS := 1
# Where it is set, each process compiles what it imports again: more than half of a command's start.
unexport PYTHONDONTWRITEBYTECODE
INSTALL_UV = .uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
CERTIFICATES := import ssl; system = ssl.get_default_verify_paths(); print(system.cafile or system.capath or "")
RUN_FOLDER ?= runs/trained
TRAIN := .venv-train/bin/python -m training
RUN := $(UV) run --quiet --group dev
CHECKOV := $(UV) tool run --quiet --from checkov==3.3.30 checkov

.DEFAULT_GOAL := help
.PHONY: help setup demo test soak fuzz fuzz-guided bench test-docker test-containers test-training lint audit sbom map format train

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(UV) ## Install what running it takes (light: no torch)
	$(UV) sync --quiet --inexact

demo: $(UV) ## See it work; other bins with BINS=<folder or s3://bucket[/prefix]>, fewer with LIMIT=50
	$(UV) run bincheck demo $(if $(BINS),"$(BINS)") $(if $(LIMIT),--limit $(LIMIT))

lint: $(UV) ## ruff, mypy, import-linter, sam validate
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports --no-cache --no-logo
	$(RUN) python -m local.embedded.sam validate --lint
	$(RUN) python -m local.embedded.sam validate --lint --template-file deploy/permissions.yaml

audit: $(UV) ## checkov over the templates, and known weaknesses of all locked packages by api.osv.dev
	$(CHECKOV) --config-file deploy/checkov.yaml
	@$(UV) audit --preview-features audit-command || { status=$$?; test $$status -ne 2 || echo "api.osv.dev could not be asked: no package was audited"; exit $$status; }

sbom: $(UV) ## List all locked packages with their digests in build/sbom.json, as CycloneDX, for a release
	mkdir -p build
	$(UV) export --quiet --frozen --preview-features sbom-export --all-groups --format cyclonedx1.5 --output-file build/sbom.json

test: lint ## Lint and test everything
	$(RUN) pytest --numprocesses 3 --dist loadgroup --durations 10

soak: $(UV) ## Every interleaving of small histories, then bins while calls fail and functions are killed, nothing lost; then an upgrade from the last tag, or from SINCE=<commit>; fewer with UPLOADS=1000, real bins with BINS=<folder>; half an hour
	$(RUN) python -m tests.simulation
	BINCHECK_BINS="$(BINS)" $(RUN) python -m tests.resilience $(if $(UPLOADS),--uploads $(UPLOADS))
	$(RUN) python -m tests.upgrade.rehearse $(or $(SINCE),$$(git describe --tags --abbrev=0 2>/dev/null || git rev-parse HEAD~50))

fuzz: $(UV) ## Hostile input, 100,000 cases for each reader of it (fewer with CASES=5000), and deliveries in any order; minutes
	$(RUN) python -m tests.fuzz $(if $(CASES),--cases $(CASES))
	$(RUN) pytest --timeout 0 --hypothesis-profile=soak tests/simulation/test_interleavings.py

fuzz-guided: $(UV) ## The same led by coverage, with Atheris, for SECONDS=600 each; Linux on x86-64
	for reader in $$($(RUN) python -m tests.fuzz --names); do \
		$(RUN) --with 'atheris>=3,<4' python -m tests.fuzz.guided $$reader --seconds $(or $(SECONDS),600) || exit 1; \
	done

test-docker: $(UV) ## sam local invoke in a container; installs nothing and says what is missing
	$(RUN) pytest --timeout 0 -rs tests/docker

test-containers: $(UV) ## model.tar.gz under Ray Serve itself, as AWS's container runs it, with Python 3.13; real bins with BINS=<folder>; minutes
	BINCHECK_CONTAINERS=1 BINCHECK_BINS="$(BINS)" $(RUN) pytest --timeout 0 -rs tests/contracts

test-training: export UV_PROJECT_ENVIRONMENT := .venv-train
test-training: $(UV) ## Test training too, and mypy where torch is; 4.6 GB of packages, minutes
	$(UV) sync --quiet --group train --group dev
	.venv-train/bin/mypy
	.venv-train/bin/python -m pytest --numprocesses 2 --dist loadgroup --durations 10 tests/training tests/model tests/jobs/test_containers.py tests/jobs/test_pipeline_run.py

bench: export UV_PROJECT_ENVIRONMENT := .venv-train
bench: $(UV) ## Time endpoint, functions, flow and training beside others, for docs/performance.md; original bins with IMAGES=<folder>; 4.6 GB of packages, 20 minutes
	$(UV) sync --quiet --group train --group dev
	.venv-train/bin/python -m benchmarks $(if $(IMAGES),--images "$(IMAGES)")

map: $(UV) ## Draw docs/map.md from the code
	$(RUN) python -m tests.maps

format: $(UV) ## Put the code in order
	$(RUN) ruff check --fix
	$(RUN) ruff format

train: export UV_PROJECT_ENVIRONMENT := .venv-train
train: $(UV) ## Train a model and put it in place of the shipped one, from DATA=<folder or s3://bucket> [LABELS=<index.csv>]; 4.6 GB of packages, hours on 2 cores
	@test -n "$(DATA)" || { echo "Name the bins with DATA=<folder or s3://bucket>: docs/training.md says how they are laid out"; exit 2; }
	$(UV) sync --quiet --group train --group dev
	$(TRAIN).prepare --source "$(DATA)" $(if $(LABELS),--labels "$(LABELS)" --split given) --out "$(RUN_FOLDER)/bins"
	.venv-train/bin/python -m samples.render --train "$(RUN_FOLDER)/rendered" --count 1030 --seed 0
	$(TRAIN).train --data "$(RUN_FOLDER)/bins" --extra "$(RUN_FOLDER)/rendered" --out "$(RUN_FOLDER)/teacher" --config training/recipes/lite0-teacher-1.207.toml --resume
	$(TRAIN).train --data "$(RUN_FOLDER)/bins" --extra "$(RUN_FOLDER)/rendered" --out "$(RUN_FOLDER)/student" --config training/recipes/lite2-student-1.192.toml --teacher "$(RUN_FOLDER)/teacher/best.pt" --resume
	$(TRAIN).train --data "$(RUN_FOLDER)/bins" --extra "$(RUN_FOLDER)/rendered" --out "$(RUN_FOLDER)" --config training/recipes/lite2-240-shipped-1.169.toml --weights "$(RUN_FOLDER)/student/best.pt" --teacher "$(RUN_FOLDER)/teacher/best.pt" "$(RUN_FOLDER)/student/best.pt" --resume
	$(TRAIN).export --run "$(RUN_FOLDER)" --data "$(RUN_FOLDER)/bins"
	$(TRAIN).evaluate --data "$(RUN_FOLDER)/bins" --split val --out "$(RUN_FOLDER)/val.json" --page "$(RUN_FOLDER)/val.html"

.uv/bin/uv:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: install it, or name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old: name a Python >= 3.11 with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv .uv || { echo "$(PYTHON) cannot make environments: install its venv module (Debian: python3-venv), or uv"; exit 1; }
	@$(INSTALL_UV) 2>/dev/null || PIP_CERT="$$(.uv/bin/python -c '$(CERTIFICATES)')" $(INSTALL_UV)
