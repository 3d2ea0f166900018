# `make run` and `make test` set up everything they need, on Debian with Python 3.11 or newer; root or not.
# A second start takes seconds: each step leaves a stamp in .venv.

PYTHON ?= python3
PORT ?= 8000
VENV := .venv
PY := $(VENV)/bin/python
SETUP := PYTHON="$(PYTHON)" scripts/setup
INSTALL = @echo "Installing the locked dependencies (a minute or two, only once) ..." && \
	$(PY) -m pip install -qq --disable-pip-version-check --require-hashes
export PORT

.DEFAULT_GOAL := help
.PHONY: help run test check bench bench-labels stop clean lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed ## set up and serve with demo data at http://127.0.0.1:8000 (PORT=8001 for another port)
	@$(PY) manage.py serve

test: $(VENV)/.installed-dev $(VENV)/.browser ## set up and run all tests (ARGS="tests/unit -k margin" for some)
	@$(PY) -m pytest $(ARGS)

check: $(VENV)/.installed-dev ## lint, format, types, import contracts, migrations, API description
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy .
	$(VENV)/bin/lint-imports
	$(PY) manage.py makemigrations --check --dry-run
	$(PY) manage.py spectacular --validate --fail-on-warn --file $(VENV)/openapi.yaml
	diff -u docs/openapi.yaml $(VENV)/openapi.yaml

bench-labels: $(VENV)/.installed-bench ## learning curves beside peers (DATA=directory of *.csv.gz, ARGS="--arms all")
	@$(PY) -W ignore -m tests.bench.label_curves $(if $(DATA),--data "$(DATA)") $(ARGS)

bench: $(VENV)/.installed-bench ## run the benchmarks, write var/bench.json
	@$(PY) -m tests.bench $(ARGS)

stop: $(VENV)/.installed ## stop the embedded PostgreSQL and Redis, those of the tests too
	@$(PY) manage.py engines stop
	@if [ -d var/test ]; then FEEDBACK_VAR_DIR=var/test $(PY) manage.py engines stop; fi

clean: ## remove what can be made again; data in var/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

lock: $(VENV)/.installed-dev ## resolve both requirements files anew from pyproject.toml
	@$(PY) -m pip install -q uv
	$(PY) -m uv pip compile pyproject.toml $(LOCKED) -o requirements.lock
	$(PY) -m uv pip compile pyproject.toml --extra dev $(LOCKED) -o requirements-dev.lock
	$(PY) -m uv pip compile pyproject.toml --extra embeddings -c requirements.lock $(LOCKED) -o requirements-embeddings.lock
	$(PY) -m uv pip compile pyproject.toml --extra label-errors -c requirements.lock $(LOCKED) -o requirements-label-errors.lock
	$(PY) -m uv pip compile pyproject.toml --extra dev --extra bench -c requirements-dev.lock $(LOCKED) -o requirements-bench.lock
LOCKED := --quiet --upgrade --generate-hashes --python-version 3.11 --no-header

$(VENV)/.created:
	@$(SETUP) environment
	@touch $@

$(VENV)/.installed: $(VENV)/.created requirements.lock
	$(INSTALL) -r requirements.lock
	@touch $@

# The development lock contains the other one.
$(VENV)/.installed-dev: $(VENV)/.created requirements-dev.lock
	$(INSTALL) -r requirements-dev.lock
	@touch $(VENV)/.installed $@

# Peers that only benchmarks need.
$(VENV)/.installed-bench: $(VENV)/.installed-dev requirements-bench.lock
	$(INSTALL) -r requirements-bench.lock
	@touch $@

$(VENV)/.browser: $(VENV)/.installed-dev
	@$(SETUP) browser
	@touch $@
