# Two commands do all on a fresh Debian or Ubuntu: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test gui lint bench lock clean

demo: $(READY)
	$(BIN)/cellstation demo $(ARGS)

gui: $(READY)
	$(BIN)/cellstation gui $(ARGS)

# Many processes read the same modules, so that their bytecode is kept; and there are more of them than cores already.
# `make test ARGS=--hypothesis-profile=explore` tries other random examples than those of each run.
test: export PYTHONDONTWRITEBYTECODE :=
test: export OMP_NUM_THREADS := 1
test: export OPENBLAS_NUM_THREADS := 1
test: $(READY)
	$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(BIN)/python -m benchmarks

$(READY): requirements.lock pyproject.toml tools/bootstrap.sh
	tools/bootstrap.sh "$(PYTHON)" "$(VENV)"
	touch $(READY)

# One lock for every supported Python and platform.
lock:
	uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url -o requirements.lock

clean:
	rm -rf $(VENV) demo-output .mypy_cache .ruff_cache .pytest_cache .hypothesis
