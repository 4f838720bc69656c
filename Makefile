# Two commands to begin with: `make demo` and `make test`. Everything lives in .venv; a stamp
# file in it says what has been installed, so repeated calls are fast.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$p && break; done)
LABELME7_PYTHON ?= $(shell for p in python3.13 python3.12 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 12) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $$p && break; done)
VENV ?= .venv
PYTEST_ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
INSTALL := $(PIP) install --constraint constraints.txt
INPUTS := pyproject.toml constraints.txt

.PHONY: help demo test test-all slow full lint format reference docs bench labelme clean

help: ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: $(VENV)/.installed ## go the whole road on a sample source: no keys, no internet
	@$(BIN)/curate demo

test: $(VENV)/.installed-test ## the tests, but for the slow ones
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile $(PYTEST_ARGS)

test-all: $(VENV)/.installed-test ## all tests
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_ARGS)

slow: $(VENV)/.installed-test ## only the slow tests
	$(BIN)/python -m pytest -m slow -n auto --dist loadscope $(PYTEST_ARGS)

# With Chromium, and Labelme from `make labelme`. The end of the output says what was counted.
full: $(VENV)/.installed-test ## the evidence of what is promised, at its full size (half an hour)
	CURATE_FULL=1 $(BIN)/python -m pytest -m full -v -n auto --dist loadscope $(PYTEST_ARGS)

lint: $(VENV)/.installed-lint ## ruff, mypy, the rules for imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-lint ## sort imports and format
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

reference: $(VENV)/.installed ## write the generated pages of docs/ again
	$(BIN)/python docs/generate.py

docs: $(VENV)/.installed-docs ## build the site; any broken link fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# img2dataset wants versions of its own, so the benchmarks live apart.
bench: .venv-bench/.installed ## measure against others (minutes), rewrite docs/benchmarks.md
	.venv-bench/bin/python -m tests.benchmarks

# Labelme is a program of its own (GPL), never imported: the tests that start it need it here.
# Version 6 runs on any of our Pythons, version 7 from 3.12 on; without one, its tests skip.
labelme: .venv-labelme-6/.installed $(if $(LABELME7_PYTHON),.venv-labelme-7/.installed) ## install the Labelme that tests start (2 GB)

clean: ## remove what the other targets made, but the catalog of no project
	rm -rf $(VENV) .venv-bench .venv-labelme-6 .venv-labelme-7 site dist build demo-project \
		.pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find curate tests docs -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@test -n "$(PYTHON)" || { \
		echo "curate needs Python 3.11, 3.12 or 3.13: make PYTHON=/path/to/python3.12" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.installed: $(VENV)/.made $(INPUTS)
	$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-%: $(VENV)/.installed
	$(INSTALL) --group $*
	@touch $@

.venv-bench/.installed: $(INPUTS)
	@test -n "$(PYTHON)" || { echo "curate needs Python 3.11, 3.12 or 3.13" >&2; exit 2; }
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip --quiet install --upgrade 'pip>=25.1'
	.venv-bench/bin/python -m pip --quiet install --editable . --group test --group bench
	@touch $@

.venv-labelme-6/.installed:
	$(PYTHON) -m venv .venv-labelme-6
	.venv-labelme-6/bin/python -m pip --disable-pip-version-check --quiet install 'labelme>=6,<7'
	@touch $@

.venv-labelme-7/.installed:
	$(LABELME7_PYTHON) -m venv .venv-labelme-7
	.venv-labelme-7/bin/python -m pip --disable-pip-version-check --quiet install 'labelme>=7,<8'
	@touch $@
