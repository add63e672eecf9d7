# One command shows it (`make bootstrap`), one proves it (`make test`).
PYTHON ?= python3
LIMIT ?=
ARGS ?=
export PYTHON

.PHONY: help bootstrap start stop venv dev check test thorough lint bench soak overlap matrix clean

help: ## This list
	@sed -n 's/^\([a-z]*\):.*## /\1 /p' Makefile | while read -r name text; do printf '  make %-10s %s\n' "$$name" "$$text"; done

bootstrap: start ## A backend in every region of the demo; LIMIT=us-east-1 for one, ARGS="--check --diff" to look first
	@.venv/bin/python scripts/bootstrap.py $(if $(LIMIT),--limit '$(LIMIT)') $(ARGS)

start: venv ## Start the emulator of AWS (127.0.0.1:4577, or TFSTATE_EMULATOR_PORT)
	@.venv/bin/python scripts/emulator.py start

stop: ## Stop the emulator; what it stores is kept
	@scripts/python scripts/emulator.py stop

venv: ## Make .venv with what the demo needs
	@scripts/python scripts/install.py requirements-demo.txt

dev: ## Make .venv with what tests need, too
	@scripts/python scripts/install.py requirements-dev.txt

check: dev ## For every commit: unit tests, linters and documentation, without emulator and Ansible runs
	@scripts/test --check $(ARGS)

test: dev ## Run all tests; ARGS="unit lint" for some parts
	@scripts/test $(ARGS)

thorough: dev ## Also on the second emulator, as a module, killed after every call, all of sanity, and every pipeline
	@scripts/test --thorough $(ARGS)
	@[ -n "$(ARGS)" ] || scripts/matrix pipelines

lint: dev ## Run the linters
	@scripts/test lint

bench: dev ## Measure
	@scripts/bench $(ARGS)

soak: dev ## Thousands of runs with random faults; ARGS="SEED COUNT"
	@.venv/bin/python -m tests.soak $(ARGS)

overlap: dev ## Runs that overlap and are killed, while clients apply; ARGS="SEED COUNT"
	@.venv/bin/python -m tests.overlap $(ARGS)

matrix: dev ## Old and new ansible-core, botocore and Python; ARGS="2.17" for one
	@scripts/matrix $(ARGS)

clean: stop ## Stop the emulator and remove all that was made here
	@rm -rf .venv .state .ansible .hypothesis .mypy_cache .pytest_cache .ruff_cache collections tests/output
	@rm -f .coverage* cornerstone-tfstate-*.tar.gz changelogs/.plugin-cache.yaml
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
	@echo "Clean."
