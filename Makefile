# Each target works alone on a fresh machine with Python 3.11 or newer.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
CORE   := $(VENV)/.core
DEV    := $(VENV)/.dev
JOBS   ?= 2

.PHONY: run test test-long lint bench docs papers systems gpu clean

run: $(CORE)  ## the quickstart: compare strategies for Mixtral-8x7B on an A6000
	$(BIN)/moesim run quickstart --out out/quickstart

test: $(DEV)  ## the whole suite, but for what takes minutes
	$(BIN)/python -m pytest -n $(JOBS) -m "not long"

test-long: $(DEV)  ## what takes minutes
	$(BIN)/python -m pytest -m long

lint: $(DEV)  ## style, types, import contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV)  ## rates, as ratios to SimPy in the same run; adds a line to benchmarks/history.jsonl
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.planning
	$(BIN)/python -m benchmarks.replay

docs: $(DEV)  ## regenerate what documents take from the program
	$(BIN)/python docs/generate.py

papers: $(DEV)  ## simulate all published figures, some minutes, and write what documents take from that
	$(BIN)/moesim papers --out out/papers
	cp out/papers/papers.json docs/data/papers.json
	$(BIN)/python docs/generate.py

systems: $(DEV)  ## run what the pages of systems and findings rest on, some minutes
	$(BIN)/python docs/system_pages.py
	$(BIN)/python docs/generate.py

gpu:  ## calibrate this GPU, execute the standard suite on it and compare, in 9 minutes; uses the Python whose torch has CUDA
	$(PYTHON) -m scenarios measure --backend cuda --suite standard --out $(or $(OUT_DIR),out/gpu) --budget 540

clean:
	rm -rf $(VENV) out .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(CORE): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[fast]"
	touch $@

$(DEV): $(CORE)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev,hf,hw]"
	touch $@
