# The one front door. Needs Python 3.11 or newer, git and make; everything else goes into .venv.

PYTHON ?= python3
N ?= 2000
SEEDS ?= 200
K ?= 3
EVENTS ?= 10000
COUNT ?= 2000
RUNS ?= 2000
DIR ?= campaign/mutants
EVIDENCE ?= campaign/evidence.json
ONLY ?=

BIN := .venv/bin
PLUGINS := $(sort $(wildcard plugins/logos-*))
PYPROJECTS := pyproject.toml $(addsuffix /pyproject.toml,$(PLUGINS))
LOCK := $(wildcard uv.lock)
STAMP := .venv/.synced

# An activated environment, or another interpreter on the machine, must not steer what lands in .venv.
unexport VIRTUAL_ENV
export UV_PROJECT_ENVIRONMENT := .venv
export UV_PYTHON_DOWNLOADS := never

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup test coverage lint docs format rehearse wire campaign kills histories matrix mutants generated power races streams bench platforms spec-check wheels clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## create .venv with the core, every plugin and the tools

test: $(STAMP)  ## run every test that needs no network, and a slice of the campaign
	$(BIN)/python -m pytest -q -n 2
	$(BIN)/python -m campaign --slice

# Without what goes over a simulated venue: that takes most of the time, and walks no branch of its own.
coverage: $(STAMP)  ## run the fast tests, and say which branches of the safety core they do not walk
	rm -rf build/coverage && mkdir -p build/coverage
	$(BIN)/coverage run -m pytest -q -n 2 tests/unit -k "not (alpaca or ccxt or oanda)"
	find build/coverage -size 0 -delete  # left by those that a test killed
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(STAMP)  ## check style, types and layers; change nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy logos_core campaign tools $(wildcard tests)
	set -e; for plugin in $(PLUGINS); do $(BIN)/mypy $$plugin; done
	$(BIN)/lint-imports

docs: $(STAMP)  ## build the documentation's site into build/site; whatever is amiss with it fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

format: $(STAMP)  ## rewrite the code in the house's form
	$(BIN)/ruff check --fix-only --exit-zero --quiet .
	$(BIN)/ruff format .

rehearse: $(STAMP)  ## run a whole guarded session per venue on its simulator, killed in the middle and recovered
	$(BIN)/logos rehearse

wire: $(STAMP)  ## count the requests that really leave, per order and per fault
	$(BIN)/python -m benchmarks.wire

kills: $(STAMP)  ## kill N real processes at each failpoint, at any line and from outside, and compare the books (N=2000)
	$(BIN)/python -m campaign.kills --cycles $(N)

campaign: $(STAMP)  ## search for a broken promise in full, in two hours, and write what came of it to EVIDENCE
	$(BIN)/python -m campaign --out "$(EVIDENCE)"

histories: $(STAMP)  ## play COUNT seeded histories of several processes on an unreliable network (COUNT=2000)
	$(BIN)/python -m campaign.histories --count $(COUNT)

matrix: $(STAMP)  ## stop every operation at every crash point with every fault, K times each (K=3)
	$(BIN)/python -m campaign.matrix --seeds $(K)

power: $(STAMP)  ## cut the power and fail the disk RUNS times in the midst of orders, and see what is left (RUNS=2000)
	$(BIN)/python -m campaign.power --runs $(RUNS)

mutants: $(STAMP)  ## plant named bugs, one in each copy, and tell which test catches it (DIR=FOLDER ONLY=NAME)
	$(BIN)/python -m campaign.planted --folder "$(DIR)" $(if $(ONLY),--only "$(ONLY)")

generated: $(STAMP)  ## make small changes to the code that keeps the promises, and tell which no test notices (ONLY=FILE)
	$(BIN)/python -m campaign.generated $(if $(ONLY),--only "$(ONLY)")

streams: $(STAMP)  ## let EVENTS things happen per venue while its stream misbehaves, and compare the books (EVENTS=10000)
	$(BIN)/python -m benchmarks.streams --events $(EVENTS)

races: $(STAMP)  ## race fills, faults and restarts against cancels and replacements, on every venue (SEEDS=200)
	$(BIN)/python -m benchmarks.races --seeds $(SEEDS)

bench: $(STAMP)  ## measure what the rails cost
	$(BIN)/python -m benchmarks.bench

platforms: $(STAMP)  ## try every package, and rehearse from its wheel, on each Python of this machine
	LOGOS_EVERY_PYTHON=1 $(BIN)/python -m pytest -q tests/built

spec-check: $(STAMP)  ## hold requests and answers against the venues' own OpenAPI documents (SPECS=FOLDER)
	$(BIN)/python -m tools.spec_check --specs "$(SPECS)"

wheels: $(STAMP)  ## build every package into dist/
	rm -rf dist
	$(BIN)/uv build --all-packages --wheel --out-dir dist

clean:  ## remove .venv and everything that was built or cached
	rm -rf .venv dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Until the synchronisation has succeeded there is no stamp, so a broken run is repeated.
$(STAMP): $(PYPROJECTS) $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "logos needs Python 3.11 or newer: make PYTHON=python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv sync --all-packages --quiet $(if $(LOCK),--frozen)
	@touch $@
