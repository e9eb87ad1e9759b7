# make quickstart: install, run the default sweep, print its table.
# make test: install what the tests need, Slurm and a browser too, and run all tests.
PYTHON ?= python3
VENV ?= .venv
# Options for pip, e.g. PIP_OPTIONS="--extra-index-url <where torch's CPU build comes from>".
PIP_OPTIONS ?=
BIN := $(VENV)/bin
# pip compiles no bytecode: Python compiles what is used on first use, which halves the time of an installation. Only the
# modules under workflow/ are compiled beforehand: where Python may keep no bytecode, each command would compile them anew.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile $(PIP_OPTIONS)

.PHONY: install quickstart test chaos fuzz check format schemas bench clean

# The base installation, for login nodes, is without torch.
install: $(VENV)/.installed

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("nodesweep needs Python 3.11 or newer" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(INSTALL) --editable .
	$(BIN)/python -m compileall -q workflow
	touch $@

$(VENV)/.installed-trainer: pyproject.toml | $(VENV)/bin/python
	$(INSTALL) --editable '.[trainer]'
	$(BIN)/python -m compileall -q workflow
	touch $@ $(VENV)/.installed

$(VENV)/.installed-test: pyproject.toml | $(VENV)/bin/python
	$(INSTALL) --editable '.[trainer,test]'
	$(BIN)/python -m compileall -q workflow
	touch $@ $(VENV)/.installed $(VENV)/.installed-trainer

quickstart: $(VENV)/.installed-trainer
	$(BIN)/snakemake --profile profiles/local --configfile config/quickstart.yaml
	@$(BIN)/nodesweep show --configfile config/quickstart.yaml

# A user's PATH may lack the folders of Slurm's daemons.
test chaos bench: export PATH := $(PATH):/usr/sbin:/sbin

test: $(VENV)/.installed-test
	bash tests/slurm/install.sh
	bash tests/schedulers/install.sh
	bash tests/browser/install.sh
	bash tests/logs/install.sh
	$(BIN)/python -m pytest -n 3 --dist loadgroup

# Launchers killed at random moments of real Slurm sweeps: make chaos KILLS=200 SEED=7
KILLS ?= 200
SEED ?= $(shell date +%s)
chaos: $(VENV)/.installed-test
	bash tests/slurm/install.sh
	$(BIN)/python tests/chaos/chaos.py --kills $(KILLS) --seed $(SEED)

# Damaged and hostile files under results/, each read by what reads it: make fuzz MUTATIONS=100000 SEED=7
MUTATIONS ?= 100000
fuzz: $(VENV)/.installed-test
	$(BIN)/python tests/chaos/fuzz.py --mutations $(MUTATIONS) --seed $(SEED)

check: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check --compact-diff Snakefile workflow/rules
	$(BIN)/snakemake --lint
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow/rules

schemas: $(VENV)/.installed
	$(BIN)/nodesweep schema

# ReFrame, which the benchmarks compare with, is installed in an environment of its own.
build/reframe/bin/reframe: | $(VENV)/bin/python
	$(PYTHON) -m venv build/reframe
	build/reframe/bin/python -m pip install --quiet --disable-pip-version-check --no-compile $(PIP_OPTIONS) ReFrame-HPC==4.10.4

bench: $(VENV)/.installed-test build/reframe/bin/reframe
	$(BIN)/python tests/bench/trainer.py
	$(BIN)/python tests/bench/logs.py
	$(BIN)/python tests/bench/predictions.py
	$(BIN)/python tests/bench/comparison.py
	$(BIN)/python tests/bench/queue_watch.py --jobs 100 --minutes 1 --poll-seconds 5
	$(BIN)/python tests/bench/orchestration.py --reframe build/reframe/bin/reframe

clean:
	rm -rf $(VENV) build .snakemake .pytest_cache .ruff_cache .hypothesis
