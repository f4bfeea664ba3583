# Every target sets up what it needs: a virtual environment in .venv with the versions of constraints.txt.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready
RUN := runs/toy
export TOKENIZERS_PARALLELISM ?= true

.PHONY: help demo test check docs format clean

help:
	@echo "make demo    prepare, train and analyse the toy world, then write a report (about 5 minutes)"
	@echo "make test    all tests"
	@echo "make check   format, lint, types, which room may import which, and the documentation's links"
	@echo "make docs    build the documentation into site/"
	@echo "make format  put the code into form"
	@echo "make clean   remove the environment and caches; runs and data stay"

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if (3, 11) <= v < (3, 14) else "Babelscope needs Python 3.11 to 3.13, this is %d.%d: make PYTHON=python3.12 ..." % v[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(READY)

demo: $(READY)
	$(BIN)/babelscope prepare --config configs/prepare/toy.yaml
	@# Stopped before it had a state to go on from, the demo's own run begins again.
	@ls $(RUN)/resume/*.ckpt >/dev/null 2>&1 || rm -rf $(RUN)
	$(BIN)/babelscope pretrain --config configs/pretrain/toy.yaml --run $(RUN) --resume
	$(BIN)/babelscope report $(RUN)
	@echo "Open $(RUN)/report.html in a browser."

test: $(READY)
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

check: $(READY) docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy -p babelscope
	$(BIN)/lint-imports --no-logo --no-cache

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info build site
