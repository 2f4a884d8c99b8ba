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
.PHONY: help demo test test-timescale test-apache test-thorough check lint types format pictures \
	dashboards coverage wheel freeze lock clean

help: ## list the targets
	@grep -hE '^[a-z./-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.venv: requirements.lock requirements-published.lock pyproject.toml client/pyproject.toml client/truthline/version.py ## make the environment from the lock file
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Truthline needs Python 3.11 or newer; this is $$($(PYTHON) --version)." \
		"Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null \
		|| { echo "Python's venv module is missing. On Debian and Ubuntu: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation \
		--editable . --editable client
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		--upgrade --target .venv/published -r requirements-published.lock
	@touch .venv

demo: .venv ## replay two real models and serve them on 127.0.0.1:8000
	$(BIN)/truthline demo

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

lock: .venv ## renew requirements.lock and its part for running from pyproject.toml
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --extra embedded --extra demo --extra dev \
		pyproject.toml --output-file requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-header --no-emit-index-url --constraint requirements.lock \
		pyproject.toml --output-file requirements-runtime.lock

clean: ## remove what make made; data stays
	rm -rf .venv .mypy_cache .ruff_cache .hypothesis .coverage* dist *.egg-info
