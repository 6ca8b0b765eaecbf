# What a person can do with Mainstay. Needs git, make and Python 3.11 or newer; the rest is
# installed below .venv and .local, in the versions of uv.lock. PYTHON=... chooses another Python.

PYTHON ?= python3
RUN := .venv/bin/python
LOCKED := pyproject.toml uv.lock
# One stamp for each set of packages, inside the environment it speaks of.
STACK := .venv/installed-stack
TOOLS := .venv/installed-tools
PEERS := .venv/installed-peers

.DEFAULT_GOAL := help
.PHONY: demo up down status logs reset install test test-all lint types docs bench faults help

demo: up ## Bring everything up and load a demo company
	@$(RUN) -m deploy.demo

up: $(STACK) ## Bring Kafka, PostgreSQL and the six services up; addresses and keys in .local/env
	@$(RUN) -m deploy.local up

down: $(STACK) ## Stop everything; data stays
	@$(RUN) -m deploy.local down

status: $(STACK) ## Say what runs, where, and whether it is ready
	@$(RUN) -m deploy.local status

logs: $(STACK) ## Show the logs (S=health: of one service)
	@$(RUN) -m deploy.local logs $(S)

reset: $(STACK) ## Stop everything and delete its data and keys
	@$(RUN) -m deploy.local reset

install: $(TOOLS) ## Install everything that development needs

test: $(TOOLS) ## Run the tests (ARGS="-k word": some of them)
	@$(RUN) -m deploy.local prepare
	$(RUN) -m pytest tests -m "not slow" -n 2 --dist loadgroup --no-loadscope-reorder $(ARGS)

test-all: $(TOOLS) ## Run the tests with the long sweeps
	@$(RUN) -m deploy.local prepare
	$(RUN) -m pytest tests -m "slow or not slow" $(ARGS)

lint: $(TOOLS) ## Check style and import rules
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/lint-imports

types: $(TOOLS) ## Check types
	$(RUN) -m mypy

docs: $(TOOLS) ## Generate the documents of events and APIs
	$(RUN) -m deploy.docs

bench: $(PEERS) ## Measure what is claimed about speed
	@$(RUN) -m deploy.local prepare
	$(RUN) -m bench $(ARGS)

faults: $(TOOLS) ## Kill, cut and stall things; what came of it stands in deploy/docs/faults.md
	@$(RUN) -m deploy.local prepare
	$(RUN) -m pytest tests/faults -m "fault and slow" --fault-report deploy/docs/faults.md $(ARGS)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(STACK): $(LOCKED) deploy/install.py
	@$(PYTHON) deploy/install.py --extra stack --no-dev
	@touch $@

$(TOOLS): $(LOCKED) deploy/install.py
	@$(PYTHON) deploy/install.py --extra stack --group dev
	@touch $@ $(STACK)

$(PEERS): $(LOCKED) deploy/install.py
	@$(PYTHON) deploy/install.py --extra stack --group dev --group bench
	@touch $@ $(TOOLS) $(STACK)
