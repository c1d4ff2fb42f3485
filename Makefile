.DEFAULT_GOAL := help
.PHONY: help setup demo web test lint format docs layouts simulation picture calibrate bench check-launch vendor lock clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-13s %s\n", $$1, $$2 }'

setup: $(STAMP) ## make a virtual environment with pinned packages

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "farthing needs Python 3.11 or later; run: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## LLaMA-2 70B on eight RTX 4090, explained
	$(BIN)/farthing infer llama-2-70b --on 1x8:rtx-4090 --tp 8 --batch 1 --context 4096 --explain

web: $(STAMP) ## the page, on this machine
	$(BIN)/farthing web

test: lint $(STAMP) ## all checks: format, lint, types, tests, generated docs
	@tests/e2e/install_chromium.sh
	$(BIN)/python -m pytest -q -n auto --dist loadgroup

lint: $(STAMP) ## format, lint and types only
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(STAMP) ## rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(STAMP) ## write the generated pages (commands, accuracy, article), the glossary and the kept outcomes
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/generate_terms.py
	$(BIN)/python docs/generate_accuracy.py
	$(BIN)/python docs/generate_article.py

layouts: $(STAMP) ## write docs/layouts.md: published layouts beside the best found
	$(BIN)/python docs/generate_layouts.py

simulation: $(STAMP) ## write docs/simulation.md: simulated queueing beside measured first tokens
	$(BIN)/python docs/generate_simulation.py

picture: $(STAMP) ## take docs/web/compare.png, the picture of the page (needs Chromium)
	$(BIN)/python docs/generate_page.py

calibrate: $(STAMP) ## fit all constants and intervals again from the shipped measurements
	$(BIN)/python -m farthing.calibrate

bench: $(STAMP) ## speed, as ratios to something measured in the same run
	$(BIN)/python benchmarks/run.py

# The engines without their kernels: several gigabytes less, and the parsers need none of them. MEGATRON_LM may
# name a clone of Megatron-LM at tag core_v0.19.0, which is no package.
ENGINES := vllm==0.33.0 sglang==0.5.23 torchtitan==0.3.0 deepspeed==0.19.8
LAUNCH := .venv-launch

check-launch: ## try the launch commands on the engines' own parsers, in an environment of their own
	$(PYTHON) -m venv $(LAUNCH)
	$(LAUNCH)/bin/python -m pip install --quiet --disable-pip-version-check -r tests/launch/engines.txt
	$(LAUNCH)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps $(ENGINES)
	PYTHONPATH=src $(LAUNCH)/bin/python -m pytest -q -p no:cacheprovider tests/launch/test_engine_parsers.py

vendor: ## bundle the page's scripts from npm, with their licences (needs npm)
	cd assets && npm ci && node build.mjs

lock: ## pin the newest allowed versions of all packages
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet pip-tools
	$(BIN)/pip-compile --quiet --strip-extras --allow-unsafe --generate-hashes --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-find-links --extra dev --output-file requirements.lock pyproject.toml

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) $(LAUNCH) .mypy_cache .ruff_cache .pytest_cache .hypothesis
