# `make demo` trains the first model, `make test` runs all tests, `make quick` the quick ones. Each creates .venv where there is none.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test quick lint types format bench docs docs-check site clean

demo: $(VENV)/.ready docs/schema.json
	$(BIN)/aebuild train specs/vqvae.yaml

test: $(VENV)/.ready docs/schema.json lint types
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2

quick: $(VENV)/.ready
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= HYPOTHESIS_PROFILE=quick $(BIN)/python -m pytest -n 2 -m "not slow"

lint: $(VENV)/.ready
	$(BIN)/ruff check .

types: $(VENV)/.ready
	$(BIN)/mypy

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/front.py
	$(BIN)/python benchmarks/speed.py

docs: docs/schema.json

# The schema that specs/ point to, and the pages made from the parts beside it; none is in git.
docs/schema.json: $(VENV)/.ready docs/generate.py $(shell find aebuild -name '*.py')
	$(BIN)/python docs/generate.py

# Every command and program that the pages show, run in scratch folders; some ten minutes, so no part of the tests.
docs-check: $(VENV)/.ready
	$(BIN)/python docs/run_blocks.py

# The pages as a site in docs/_site, with the notebook run; a warning is an error.
site: docs/schema.json
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[docs]'
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_site

# pip keeps a torch that is already there; the pins are those the tests ran with.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache build *.egg-info docs/schema.json docs/reference.md docs/diagnostics.md docs/_site
