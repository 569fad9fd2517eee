# Latchkey. `make` lists what there is; `make run` and `make test` work as the first command on a fresh clone.

SHELL := /bin/bash
.DEFAULT_GOAL := help
UV_VERSION := 0.13.9
# The distribution's Python before others on the PATH: it is built with profiling and link-time optimization, which one
# that was compiled by hand seldom is. Measured on Debian 12: a tenth to a fifth less processor time per call.
PYTHON ?= $(firstword $(foreach name,$(addprefix /usr/bin/,python3.13 python3.12 python3.11) python3.13 python3.12 python3.11 python3,\
	$(if $(shell $(name) -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo yes),$(name))))
PORT ?= 4000
BIN := .venv/bin
STATIC := $(shell find static -type f 2>/dev/null)

export UV_PYTHON_DOWNLOADS := never
# Without bytecode on the disk every process that starts would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.static ## Install exactly what uv.lock names into .venv (quick when nothing changed)

.PHONY: run
run: setup ## Set up, then run everything on http://127.0.0.1:4000 with the demo provider (PORT=... for another port)
	@LATCHKEY_DEMO=1 exec $(BIN)/python manage.py up --port $(PORT)

.PHONY: test
test: setup ## Set up, then run the test suite, also on PostgreSQL if it is installed (ARGS="-k windows" for a part)
	$(BIN)/pytest $(PARALLEL) $(ARGS)
	$(if $(ARGS),,$(MAKE) --no-print-directory test-postgres)

# Scenarios wait more than they compute, so there are more workers than cores; tests/conftest.py says who gets what.
PARALLEL = -n $(shell $(BIN)/python -c 'import os; print((os.cpu_count() or 2) + 3)')

.PHONY: openapi
openapi: setup ## Play the examples of the management API, and write the OpenAPI document's snapshot anew
	RENEW_OPENAPI=1 $(BIN)/pytest -q tests/api/test_openapi.py

.PHONY: test-postgres
test-postgres: setup ## The tests of services, protocol and API on a throw-away PostgreSQL server and Redis, made from the machine's binaries
	tests/with_postgres $(BIN)/pytest -n auto $(ON_POSTGRES) $(ARGS)

ON_POSTGRES := tests/teams tests/keys tests/spend tests/protocol/test_machine.py tests/proxy/test_books.py tests/api --ignore=tests/api/test_matrix.py --ignore=tests/api/test_query_counts.py

.PHONY: bench
bench: setup ## Measure Latchkey beside a bare pass-through (ARGS=--quick for 40 seconds, FULL=1 for millions of rows)
	$(BIN)/python -m bench $(ARGS)

.PHONY: scenarios
scenarios: setup ## The fault scenarios alone, one after the other, shortened, with the figures of each
	$(BIN)/pytest -rP tests/scenarios $(ARGS)

.PHONY: soak
soak: setup ## The fault scenarios in full, an hour or more: 1000 callers, 50 kills, five seeds (LATCHKEY_SEED=... for one)
	LATCHKEY_SOAK=1 HYPOTHESIS_PROFILE=soak $(BIN)/pytest -rP tests/scenarios tests/protocol tests/spend/test_exact_sums.py $(ARGS)
	$(if $(ARGS),,HYPOTHESIS_PROFILE=soak tests/with_postgres $(BIN)/pytest tests/protocol/test_machine.py)

.PHONY: check
check: setup ## Format, lint, types, import directions, Django's checks, missing migrations
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py check --fail-level WARNING
	DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python manage.py makemigrations --check --dry-run

.PHONY: format
format: setup ## Format the code and mend what the linter can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.venv/.uv-$(UV_VERSION):
	@test -n "$(PYTHON)" || { echo "Latchkey needs Python 3.11 or newer with its venv module, e.g.: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@

# --inexact keeps uv itself, which is not one of our dependencies.
# With bytecode on the disk, the many processes of a first start do not all compile the same files.
.venv/.ready: uv.lock .venv/.uv-$(UV_VERSION)
	@$(BIN)/uv sync --quiet --frozen --inexact --compile-bytecode --extra embedded
	@touch $@

# Collecting static files needs no secret, so it gets a throw-away data folder and the demo's generated ones.
.venv/.static: .venv/.ready $(STATIC)
	@LATCHKEY_DEMO=1 LATCHKEY_DATA_DIR=.venv/static-setup DATABASE_URL= LATCHKEY_CONFIG= \
		$(BIN)/python manage.py collectstatic --noinput --verbosity 0
	@touch $@
