# Everything sets up what it needs; nothing but Python 3.11+, make and a C compiler is expected.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
# Twice the processors: with half of that again a third of their time is idle, for most tests wait for other programs.
JOBS ?= $(shell expr 2 '*' $$(nproc))
DEMO_HOME ?= $(HOME)/.blackhole-demo

.PHONY: help setup demo demo-down test test-machine lint protos snapshots bench docs clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22

setup: $(STAMP) ## the virtual environment with everything in it

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "cannot set up: $(PYTHON) is older than Python 3.11; run make PYTHON=python3.11 (or newer)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## the console on five services, over a real SSH connection
	@BLACKHOLE_HOME=$(DEMO_HOME) $(BIN)/blackhole demo up --ssh
	@BLACKHOLE_HOME=$(DEMO_HOME) $(BIN)/bhtui

demo-down: $(STAMP) ## ends the demonstration; leaves no process behind
	@BLACKHOLE_HOME=$(DEMO_HOME) $(BIN)/blackhole demo down

test: $(STAMP) ## all tests, in parallel, but those on an emulated machine
	@$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m 'not alone' $(AGAIN)

test-machine: $(STAMP) ## the tests on a true systemd host, emulated: minutes, and the machine to themselves
	@$(BIN)/python -m pytest -m alone $(AGAIN)

lint: $(STAMP) ## ruff, mypy strict, and the walls between the rooms
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

protos: $(STAMP) ## the stubs in bhtui/rpc, from protos/
	@$(BIN)/python protos/generate.py

snapshots: $(STAMP) ## draws the expected screens anew; look at the difference before you commit it
	@$(BIN)/python -m pytest snapshots --snapshot-update

docs: $(STAMP) ## the generated pages of docs/reference, and the schema in configs/
	@$(BIN)/python -m docs.generate

bench: $(STAMP) ## every figure of the README, with its peer in the same run
	@for each in benchmarks/[a-z]*.py; do \
	  echo "== $$(basename $$each .py), at load $$(cut -d' ' -f1 /proc/loadavg)"; \
	  $(BIN)/python $$each || failed="$$failed $$each"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

clean: ## the virtual environment and what tools left behind
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis snapshot_report.html
