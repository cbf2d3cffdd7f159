# Everything runs in the project's own environment (.venv). uv makes it; where uv is missing, it goes into .uv/ of this folder.
SHELL := /bin/sh
PYTHON ?= python3
UV_VERSION := 0.13.8
UV := $(shell command -v uv || echo .uv/bin/uv)
export PATH := $(CURDIR)/.uv/bin:$(PATH)
export UV_FROZEN := 1
RUN_FOLDER ?= runs/trained
RUN := $(UV) run --quiet --group dev

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-docker lint format train

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(UV) ## Install what running it takes (light: no torch)
	$(UV) sync --quiet --inexact

demo: $(UV) ## See it work; other bins with BINS=<folder or s3://bucket[/prefix]>, fewer with LIMIT=50
	$(UV) run bincheck demo $(if $(BINS),"$(BINS)") $(if $(LIMIT),--limit $(LIMIT))

lint: $(UV) ## ruff, mypy, sam validate
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) python -m local.sam validate --lint

test: lint ## Lint and test everything
	$(RUN) pytest --durations=10

test-docker: $(UV) ## sam local invoke in a container; installs nothing and says what is missing
	$(RUN) pytest -rs tests/docker

format: $(UV) ## Put the code in order
	$(RUN) ruff check --fix
	$(RUN) ruff format

train: export UV_PROJECT_ENVIRONMENT := .venv-train
train: $(UV) ## Train the shipped model again from DATA=<folder with index.csv>; 4.6 GB of packages, about 90 minutes
	@test -n "$(DATA)" || { echo "Name the labelled bins with DATA=<folder>: docs/training.md says how it is laid out"; exit 2; }
	$(UV) sync --quiet --group train --group dev
	.venv-train/bin/python -m samples.render --train runs/rendered --count 1840 --seed 0
	.venv-train/bin/python -m training.train --data "$(DATA)" --extra runs/rendered --out "$(RUN_FOLDER)" --epochs 8 --max-minutes 89
	.venv-train/bin/python -m training.export --run "$(RUN_FOLDER)" --data "$(DATA)"
	.venv-train/bin/python -m training.evaluate --data "$(DATA)" --split val --out "$(RUN_FOLDER)/val.json"

.uv/bin/uv:
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: install it, or name one with PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old: name a Python >= 3.11 with PYTHON=..."; exit 1; }
	@$(PYTHON) -m venv .uv || { echo "$(PYTHON) cannot make environments: install its venv module (Debian: python3-venv), or uv"; exit 1; }
	.uv/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
