# Aliases for the onboarding docs; the work is done by bootstrap.py and tasks.py, which Windows runs without make.
.DEFAULT_GOAL := help
.PHONY: help setup rehearsal test lint bench soak clean

PYTHON ?= python3
IMEI ?= 350457791791735879
BIN := .venv/bin

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## the environment in .venv, from requirements.lock
	@$(PYTHON) bootstrap.py

rehearsal: ## the whole path, from an empty folder to telemetry, in a lab of its own
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/invoke rehearse --imei $(IMEI)

test: ## the whole test suite
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/pytest -n 2 --dist loadfile

lint: ## ruff and mypy; and no private key is tracked by git
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m thingmint.keyscan

bench: ## the benchmarks, with their goals
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/python benchmarks/run.py

soak: ## 2000 random kills and 64 writers at once, then an audit (about half an hour)
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/python benchmarks/soak.py

clean: ## remove the environment and caches; never ca/, devices/ or lab/
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis thingmint.egg-info
