# `make help` lists the targets.
PYTHON ?= python3
BIN := .venv/bin
# Servers of tests and demo need no more than this; `make test-timescale` picks another edition.
export TRUTHLINE_TEST_EDITION ?= postgres
# Tests run side by side, each process on a server of its own. Neighbours in a file stay together,
# so that what they share is made once.
TEST_PROCESSES ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help .venv .venv-demo demo serve test test-timescale test-apache test-thorough check lint types \
	format pictures dashboards coverage wheel bench bench-full freeze lock clean

help: ## list the targets
	@grep -hE '^[a-z./-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# Make stops at the first command of a pipe that fails, too.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

# An environment is complete once its stamp is written: an interrupted one is made again.
PACKAGES := pyproject.toml client/pyproject.toml client/truthline/version.py
.venv: .venv/complete ## make the environment of contributors: everything that tests and checks need
.venv-demo: .venv-demo/complete ## make the environment of demo and serve: half the packages

.venv/complete: requirements.lock requirements-published.lock $(PACKAGES)
	$(call environment,.venv,requirements.lock,1.7 GB)
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--upgrade --target .venv/published -r requirements-published.lock
	@touch $@

.venv-demo/complete: requirements-demo.lock $(PACKAGES)
	$(call environment,.venv-demo,requirements-demo.lock,790 MB)
	@touch $@

# An environment in a directory, from a lock file, with an idea of its size.
define environment
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Truthline needs Python 3.11 or newer; this is $$($(PYTHON) --version)." \
		"Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "Python's venv module is missing. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	@echo "Installing the packages of $(2) into $(1) ($(3)): a minute or two, once"
	@$(PYTHON) -m venv $(1)
	@$(1)/bin/python -m pip install --disable-pip-version-check --require-hashes -r $(2) \
		| $(PYTHON) .ci/progress.py $(2)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--editable . --editable client
endef

# What runs the demo: contributors need no second environment.
RUNNING := $(if $(wildcard .venv/complete),.venv,.venv-demo)

demo: $(RUNNING) ## tell a week of six real models, and serve it live on 127.0.0.1:8000
	$(RUNNING)/bin/truthline demo

serve: $(RUNNING) ## serve an empty database to everybody on this machine, on 127.0.0.1:8000
	$(RUNNING)/bin/truthline serve --no-auth

test: .venv ## the whole suite on the embedded PostgreSQL
	$(PYTEST)

test-timescale: .venv ## the same on a PostgreSQL with TimescaleDB, if this machine has one
	TRUTHLINE_TEST_EDITION=community $(PYTEST)

test-apache: .venv ## the same with the extension's Apache licence
	TRUTHLINE_TEST_EDITION=apache $(PYTEST)

test-thorough: .venv ## the suite with more examples of each property, as before a release
	$(PYTEST) --hypothesis-profile thorough

check: lint types test ## all that must be green before a commit

lint: .venv ## ruff: rules and format; import-linter: who imports whom; squawk: SQL
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/squawk 'sql/**/*.sql'

types: .venv ## mypy, strict
	$(BIN)/mypy
	cd client && ../$(BIN)/mypy

format: .venv ## let ruff put everything in form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pictures: .venv ## recreate the pictures of the documents; needs Chromium
	$(BIN)/python -m docs.pictures.draw
	$(BIN)/python -m tests.web.pictures

dashboards: .venv ## write Grafana's dashboards from grafana/dashboards
	$(BIN)/python -m grafana.dashboards

coverage: .venv ## the suite with coverage, also of the processes it starts; fails below fail_under
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses $(TEST_PROCESSES) -k 'not gzip_bomb' # its seconds are the tracer's
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

wheel: .venv ## build the client's wheel and source archive into dist/
	cd client && ../$(BIN)/python -m hatchling build -d ../dist

freeze: ## at a release: record the digests of its migrations, which never change again
	sha256sum sql/versions/*.sql migrations/versions/*.py > migrations/RELEASED

PEERS := $(patsubst bench/peers/%.lock,.venv/%/complete,$(wildcard bench/peers/*.lock))

bench: .venv $(PEERS) ## measure Truthline next to its peers in ten minutes: docs/benchmarks.md
	$(BIN)/python -m bench

bench-full: .venv $(PEERS) ## the same with millions of rows, in hours
	$(BIN)/python -m bench --full

.venv/%/complete: bench/peers/%.lock | .venv/complete
	@echo "Installing the packages of $< into .venv/$*"
	@$(BIN)/uv venv --quiet --clear .venv/$*
	@$(BIN)/uv pip sync --quiet --require-hashes --python .venv/$*/bin/python $<
	@touch $@

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url

lock: .venv ## renew requirements.lock from pyproject.toml, and its parts for the demo and for running
	$(COMPILE) --upgrade --extra embedded --extra bulk --extra demo --extra checkout --extra dev \
		pyproject.toml --output-file requirements.lock
	$(COMPILE) --constraint requirements.lock --extra embedded --extra bulk --extra demo \
		--extra checkout pyproject.toml --output-file requirements-demo.lock
	$(COMPILE) --constraint requirements.lock --extra bulk pyproject.toml \
		--output-file requirements-runtime.lock
	for peer in bench/peers/*.in; do \
		$(COMPILE) --upgrade $$peer --output-file $${peer%.in}.lock; done

clean: ## remove what make made; data stays
	rm -rf .venv .venv-demo .mypy_cache .ruff_cache .hypothesis .coverage* dist *.egg-info
