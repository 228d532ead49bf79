# demo   install the core, run the demonstration     test   install everything, run all tests
# fast   the tests without torch and slow ones       check  format, lint, types, floors
# sweep  the rest of 200 kills, 60 disk faults, 1,000 bit flips and more: `make test` does a part
# mutants  break each line of safety and the door; list what no test notices
# demo-policies  train the models of the demonstration again, and write docs/demo-policies.md
# bench  the figures of docs/performance.md          docs   check that the pages' links and commands hold
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
WORKERS ?= auto
# where the CPU build of torch is had; `make setup TORCH_INDEX=` does without
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

.PHONY: demo demo-policies setup test sweep fast check mutants bench docs clean

$(VENV)/core.stamp: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/dev.stamp: $(VENV)/core.stamp
	$(PIP) install --quiet --editable ".[dev,llm,live,service,notify]"
	touch $@

# A step of its own: an index is added for torch alone, and if it cannot be reached pip goes on without.
$(VENV)/torch.stamp: $(VENV)/dev.stamp
	$(PIP) install --quiet --retries 0 --timeout 30 \
		$(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) \
		"$$(sed -n 's/.*"\(torch==[0-9.]*\)".*/\1/p' pyproject.toml)"
	touch $@

$(VENV)/rl.stamp: $(VENV)/torch.stamp
	$(PIP) install --quiet --editable ".[rl]"
	$(PIP) install --quiet --editable ".[ray]" || echo "no ray for this Python: its tests skip"
	touch $@

$(VENV)/bench.stamp: $(VENV)/dev.stamp bench/requirements.txt
	$(PIP) install --quiet --requirement bench/requirements.txt
	touch $@

demo: $(VENV)/core.stamp
	$(BIN)/darwin run configs/demo.json

setup: $(VENV)/rl.stamp

test: setup
	$(BIN)/python -m pytest -n $(WORKERS) -m "not sweep"

sweep: setup
	$(BIN)/python -m pytest -n $(WORKERS) -m sweep

fast: $(VENV)/dev.stamp
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow and not sweep"

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

mutants: setup
	$(BIN)/python -m bench.mutants

bench: $(VENV)/rl.stamp $(VENV)/bench.stamp
	$(BIN)/python -m bench

demo-policies: setup
	$(BIN)/python -m bench.demo_policies

docs: setup
	$(BIN)/python -m pytest tests/test_docs.py

clean:
	rm -rf $(VENV) artifacts logs .mypy_cache .ruff_cache .pytest_cache .hypothesis
