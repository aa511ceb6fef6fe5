# Aliases for the onboarding docs; the work is done by bootstrap.py and tasks.py, which Windows runs without make.
.DEFAULT_GOAL := help
.PHONY: help setup onboard rehearsal peers node-client az test screenshots lint bench soak clean

PYTHON ?= python3
IMEI ?= 350457791791735879
BIN := .venv/bin

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## the environment in .venv, from requirements.lock
	@$(PYTHON) bootstrap.py

# BUNDLE, KEY and IMEI reach the shell as variables: file names may hold spaces and quotes.
export BUNDLE KEY IMEI

onboard: ## join the team: BUNDLE=team.bundle IMEI=… (KEY=me.key if it is sealed for you), up to telemetry
	@test -n "$$BUNDLE" || { echo 'error: no bundle was named: make onboard BUNDLE=team.bundle IMEI=…' >&2; exit 2; }
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/invoke ca-import --from "$$BUNDLE" $${KEY:+--key "$$KEY"} verify device --imei "$$IMEI" connect --imei "$$IMEI"

rehearsal: ## the whole path, from an empty folder to telemetry, in a lab of its own
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/invoke rehearse --imei $(IMEI)

peers: ## Nordic's own tools into .venv, for the tests that run them against the simulated modem
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/pip --disable-pip-version-check -q install --require-hashes -r requirements-peers.lock

node-client: ## Microsoft's device SDKs for Node.js into tests/node, for the tests that run them against the lab
	@npm ci --prefix tests/node --omit-lockfile-registry-resolved --ignore-scripts --no-audit --no-fund --silent

az: ## Microsoft's az into .az, for the tests that run it against the lab (two minutes, 733 MB)
	@$(PYTHON) -m venv .az
	@.az/bin/pip --disable-pip-version-check -q install --require-hashes -r requirements-az.lock

test: ## the whole test suite
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder

screenshots: ## the pictures of the lab's page in docs/images, by its own test (needs Debian's chromium)
	@$(PYTHON) bootstrap.py --quiet
	@SCREENSHOTS=docs/images $(BIN)/pytest -q tests/page/test_accessible.py -k pictures

lint: ## ruff and mypy; and no private key is tracked by git
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m thingmint.keyscan

bench: ## the benchmarks, with their goals
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/python benchmarks/run.py

soak: ## 2000 random kills and 64 writers at once, then an audit (half an hour); a thousand bad days with the hub (one hour)
	@$(PYTHON) bootstrap.py --quiet
	@$(BIN)/python benchmarks/soak.py
	@$(BIN)/python benchmarks/chaos.py --seeds 1000

clean: ## remove the environment and caches; never ca/, devices/ or lab/
	@rm -rf .venv .az .pytest_cache .mypy_cache .ruff_cache .hypothesis thingmint.egg-info
