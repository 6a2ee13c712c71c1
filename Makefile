PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL = $(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt
# On every core, up to eight: each worker has an Airflow home and a metadata database of its own.
PARALLEL := -n logical --maxprocesses 8 --dist loadgroup

.DEFAULT_GOAL := help
.PHONY: help demo ui docs dist test lint format test-wheel test-system test-browser test-cluster test-matrix bench bench-batch bench-cluster bench-looks bench-import bench-decode bench-plots test-constraints screenshots constraints clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.demo ## Watch a real Airflow wait for an account that can send, and go on (no key needed)
	@$(BIN)/python scripts/demo.py

ui: $(VENV)/.demo ## Click through a real Airflow beside the sandbox, a local Revor, until ctrl-C (no key needed)
	@$(BIN)/python scripts/run_ui.py

test: $(VENV)/.dev ## Run the tests on the newest Airflow
	@$(BIN)/pytest $(PARALLEL)

lint: $(VENV)/.dev ## Check style, types, spelling, security and the GitHub workflows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell
	@$(BIN)/bandit --quiet --configfile pyproject.toml --recursive airflow_provider_revor
	@if [ -d .github ]; then $(BIN)/zizmor --offline --quiet --no-progress .github; fi
	@if [ -d .github ]; then $(BIN)/check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml; fi

docs: $(VENV)/.docs ## Build the documentation into docs/_build/html and check its links
	@$(BIN)/python -m sphinx --quiet --fail-on-warning --nitpicky --fresh-env -b html docs docs/_build/html
	@$(BIN)/python scripts/check_links.py docs/_build/html

format: $(VENV)/.dev ## Put the code into shape
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

test-wheel: $(VENV)/.dev ## Build the wheel, install it into a fresh environment, see what Airflow makes of it
	@$(BIN)/pytest -m wheel

dist: $(VENV)/.dev ## Build the sdist, and from it the wheel, into dist
	@rm -rf dist
	@$(BIN)/python -m build --outdir dist .

test-constraints: $(VENV)/.dev ## Install what is in dist under Airflow's own constraints, which are on GitHub
	@$(BIN)/nox --session "$(or $(SESSION),constraints)"

test-system: $(VENV)/.dev ## Run the tests that take every component of a real Airflow; LONG=1 kills more of it
	@LONG=$(LONG) $(BIN)/pytest -m system

test-browser: $(VENV)/.browser ## Look at the pages in Chromium; BROWSER_PICTURES=FOLDER keeps what it sees
	@command -v chromium > /dev/null || { echo "Chromium is needed: apt-get install chromium"; exit 1; }
	@$(BIN)/pytest -m browser

test-cluster: $(VENV)/.cluster ## Run Airflow on PostgreSQL, Redis and Celery, and break parts of it; LONG=1 breaks all
	@LONG=$(LONG) $(BIN)/pytest -m cluster

test-matrix: $(VENV)/.dev ## Run the tests on Airflow 2.11 to 3.4 (beta), Python 3.11 to 3.13, and the lowest versions
	@$(BIN)/nox $(if $(SESSION),--session "$(SESSION)")

bench: $(VENV)/.dev ## Measure what waiting costs, beside HttpSensor (an hour)
	@$(BIN)/python benchmarks/bench_gates.py

bench-batch: $(VENV)/.dev ## Measure what a batch costs, beside mapped dispatches (half an hour)
	@$(BIN)/python benchmarks/bench_batch.py

bench-cluster: $(VENV)/.cluster ## Measure how many waiting gates one triggerer bears on PostgreSQL (half an hour)
	@$(BIN)/python benchmarks/bench_cluster.py

bench-looks: $(VENV)/.dev ## Measure what thousands of job triggers cost a triggerer
	@$(BIN)/python benchmarks/bench_looks.py

bench-import: $(VENV)/.dev ## Measure what importing costs, beside the HTTP provider
	@$(BIN)/python benchmarks/bench_import.py

bench-decode: $(VENV)/.dev ## Measure what decoding a long list costs, beside requests
	@$(BIN)/python benchmarks/bench_decode.py

bench-plots: $(VENV)/.dev ## Draw the plots of docs/benchmarks.md from its tables
	@$(BIN)/python scripts/draw_plots.py

screenshots: $(VENV)/.browser ## Take the pictures of the documentation in a real Airflow, into docs/images
	@$(BIN)/python scripts/take_screenshots.py

constraints: $(VENV)/.dev ## Pin the newest versions of everything anew
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra sandbox --group dev --group browser --group cluster --group docs \
		--no-header --no-annotate --no-emit-index-url --output-file constraints.txt pyproject.toml

clean: ## Remove what the other targets made
	@rm -rf $(VENV) .nox dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis

# Debian splits ensurepip off: where it is missing, the machine's own pip fills the environment.
$(BIN)/uv:
	@echo "Setting up $(VENV) …"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11+ is needed: make PYTHON=python3.12 …")'
	@$(PYTHON) -m venv --clear $(VENV) 2>/dev/null || { $(PYTHON) -m venv --clear --without-pip $(VENV) \
		&& $(PYTHON) -m pip --python $(BIN)/python install --quiet pip; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/uv
	@$(INSTALL) --editable '.[sandbox]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/uv
	@$(INSTALL) --editable '.[sandbox]' --group dev
	@touch $@ $(VENV)/.demo

$(VENV)/.docs: $(VENV)/.dev
	@$(INSTALL) --group docs
	@touch $@

$(VENV)/.cluster: $(VENV)/.dev
	@$(INSTALL) --group cluster
	@touch $@

$(VENV)/.browser: $(VENV)/.dev
	@$(INSTALL) --group browser
	@touch $@
