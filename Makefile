# demo   install the core, run the demonstration     test   install everything, run all tests
# fast   the tests without torch and slow ones       check  format, lint, types, floors
# sweep  the rest of 200 kills, 60 disk faults and the long soak: `make test` does a part of each
# bench  the figures of docs/performance.md          docs   check that the pages' links and commands hold
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
WORKERS ?= auto

.PHONY: demo setup test sweep fast check bench docs clean

$(VENV)/core.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	$(PIP) install --quiet --editable ".[dev]"
	touch $@

$(VENV)/bench.stamp: $(VENV)/dev.stamp bench/requirements.txt
	$(PIP) install --quiet --requirement bench/requirements.txt
	touch $@

demo: $(VENV)/core.stamp
	$(BIN)/darwin run configs/demo.json

setup: $(VENV)/dev.stamp

test: setup
	$(BIN)/python -m pytest -n $(WORKERS) -m "not sweep"

sweep: setup
	$(BIN)/python -m pytest -n $(WORKERS) -m sweep

fast: setup
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not sweep"

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/bench.stamp
	$(BIN)/python -m bench

docs: setup
	$(BIN)/python -m pytest tests/test_docs.py

clean:
	rm -rf $(VENV) artifacts logs .mypy_cache .ruff_cache .pytest_cache .hypothesis
