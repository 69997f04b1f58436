# Everything a fresh clone needs: `make demo` and `make test` set up what is missing.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.SILENT:
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PACKAGES := $(patsubst %/pyproject.toml,%,$(wildcard plugins/*/pyproject.toml))
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help demo test setup lint types layers unit coverage real prove mutants bench-quick bench clean
.DEFAULT_GOAL := help

help: ## what there is
	grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 14

demo: $(STAMP) ## two sandboxes kept in agreement, step by step
	$(BIN)/python examples/quickstart/demo.py

test: lint types layers unit ## everything that is checked

setup: $(STAMP) ## the virtual environment with all packages

lint: $(STAMP) ## ruff: rules and format
	echo "== ruff"
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(STAMP) ## mypy, strict
	echo "== mypy"
	$(BIN)/mypy src $(addsuffix /src,$(PACKAGES))
	(cd bench && MYPYPATH=../examples/quickstart ../$(BIN)/mypy --strict *.py ../examples/quickstart/*.py)

layers: $(STAMP) ## import-linter: who may import whom
	echo "== import-linter"
	$(BIN)/lint-imports

unit: $(STAMP) ## pytest, on as many cores as there are (four at most)
	echo "== pytest"
	$(BIN)/pytest -n auto --maxprocesses 4 --dist worksteal --durations=10

coverage: $(STAMP) ## pytest, with the branches of the kernel that no test takes
	$(BIN)/pytest --cov=connector_hub.model --cov=connector_hub.sync --cov-branch --cov-report=term

real: $(STAMP) ## clients nobody here wrote, each installed apart, on the sandboxes (minutes the first time)
	REAL=1 $(BIN)/pytest tests/real -n auto --maxprocesses 4 --dist worksteal -rs --durations=10

prove: $(STAMP) ## the proofs in their long profile: every schedule, thousands of stories, 500 killed syncs
	PROVE=1 $(BIN)/pytest tests/proof -n auto --maxprocesses 4 --dist worksteal --durations=30
	$(BIN)/python bench/kill.py --both --kills 500

mutants: $(STAMP) ## what the tests would notice: mutants of model and sync (hours; SAMPLE=400 ONLY=sync/planner BUDGET=10)
	$(BIN)/python -c 'import mutmut' 2>/dev/null || $(BIN)/python -m pip install --quiet -e '.[prove]'
	nice -n 10 $(BIN)/python bench/mutants.py --sample $(or $(SAMPLE),0) --only '$(ONLY)' --budget $(or $(BUDGET),10)

bench-quick: $(STAMP) ## CPU per record against a loop written by hand; fails above 2.0
	$(BIN)/python bench/run.py quick

bench: $(STAMP) ## CPU, memory, calls, and a sync that is killed thirty times (about five minutes)
	$(BIN)/python bench/run.py quick --rounds 5
	$(BIN)/python bench/memory.py
	$(BIN)/python bench/memory.py --both
	$(BIN)/python bench/calls.py
	$(BIN)/python bench/calls.py --direction both
	$(BIN)/python bench/calls.py --match
	$(BIN)/python bench/kill.py
	$(BIN)/python bench/kill.py --both

clean: ## back to a fresh clone
	rm -rf $(VENV) .real build dist .coverage .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .mutants
	find . -name __pycache__ -prune -exec rm -rf {} +

# Debian keeps pip's half of venv in a package of its own.
$(BIN)/pip:
	if [ -z "$(PYTHON)" ]; then
	  echo "connector-hub needs Python 3.11 or newer, and none was found: apt-get install python3" >&2
	  exit 2
	fi
	if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	    apt-get update -qq && apt-get install -y -qq python3-venv >/dev/null
	  else
	    echo "$(PYTHON) cannot make virtual environments: sudo apt-get install python3-venv, then run this again" >&2
	    exit 2
	  fi
	fi
	echo "making $(VENV) with $$($(PYTHON) --version)"
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml $(addsuffix /pyproject.toml,$(PACKAGES)) | $(BIN)/pip
	echo "installing connector-hub and its plugins into $(VENV)"
	$(BIN)/python -m pip install --quiet -e '.[testing]' $(foreach p,$(PACKAGES),-e $(p))
	touch $(STAMP)
