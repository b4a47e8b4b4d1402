# make demo   train a zoo, recover its trajectories, write the report (installs into ./.venv first)
# make test   the tests            make lint   ruff and mypy
# make long   the tests that take long: jobs on clusters of their own, other places than AWS, the benchmarks' comparisons
# make wheel  dist/zoo_pipeline-VERSION-py3-none-any.whl, which the recipes of docs/deploy/ put on a cluster's nodes
# make clean  remove what builds, tests and linters leave behind (not .venv, not runs)

PYTHON ?= python3
# Two at a time, a module's tests in one process, which starts Ray once.
PYTEST_ARGS ?=
TESTS_AT_ONCE ?= 2
WHEEL_ARGS ?=
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := RAY_USAGE_STATS_ENABLED=0 RAY_AUTH_MODE=disabled $(BIN)/python -m pytest -n $(TESTS_AT_ONCE) --dist loadfile
INPUTS := pyproject.toml constraints.txt

.PHONY: demo test long lint wheel clean

demo: .venv/.installed
	$(BIN)/zoo run digits-demo --out runs/digits-demo --overwrite

test: .venv/.installed-dev
	$(PYTEST) $(PYTEST_ARGS)

long: .venv/.installed-dev
	$(PYTEST) -m long $(PYTEST_ARGS)

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# From scratch: setuptools would take along what an earlier build left, and `dist` goes to the nodes as it is.
wheel: | $(BIN)/python
	@rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps $(WHEEL_ARGS) --wheel-dir dist .

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -type d -name __pycache__ -exec rm -rf {} +

$(BIN)/python:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: name a Python 3.11 or newer, e.g. make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$$($(PYTHON) --version 2>&1) is too old: name a Python 3.11 or newer, e.g. make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

# The stamps are newer than their inputs exactly when the last installation finished.
.venv/.installed: $(INPUTS) | $(BIN)/python
	@echo "Installing zoo_pipeline into .venv (some minutes the first time)"
	@$(INSTALL) -e .
	@touch $@

.venv/.installed-dev: $(INPUTS) | $(BIN)/python
	@echo "Installing zoo_pipeline and its tools into .venv (some minutes the first time)"
	@$(INSTALL) -e '.[dev,benchmarks]'
	@touch .venv/.installed $@
