# Everything a person does with the firm. `make` alone lists it; each target sets up what it needs.

PYTHON ?= python3
CONFIG ?= config/paper.yaml
DURATION ?= 2h
PY := .venv/bin/python
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test cluster-test check static bench soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv with the pinned packages (done once; again when they change)

run: $(STAMP) ## start the firm on the simulated gateway (CONFIG=config/paper.yaml)
	$(PY) -m firm.launch --config $(CONFIG)

test: $(STAMP) ## run the whole test suite: the fast tests on all cores, then those with Ray and processes
	$(PY) -m pytest -n auto -m "not ray and not process and not hosts"
	$(PY) -m pytest -m "(ray or process) and not hosts"

cluster-test: $(STAMP) ## the cluster on several hosts (root, a few minutes); says what is missing if it cannot
	$(PY) -m pytest -m hosts -rs -s tests/cluster

check: static ## style, types, floors and the fast tests (under three minutes)
	$(PY) -m pytest -n auto -m "not ray and not process and not hosts"

static: $(STAMP) ## style, types and floors only
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	$(PY) -m mypy
	.venv/bin/lint-imports

bench: $(STAMP) ## run every benchmark: one table, beside the saved baseline
	$(PY) -m benchmarks $(addprefix --baseline ,$(wildcard benchmarks/baseline.json))

soak: $(STAMP) ## trade for hours, unattended, and see that nothing grows (DURATION=2h)
	$(PY) -m benchmarks.soak --duration $(DURATION) --directory runs/soak-$(shell date -u +%Y%m%d-%H%M%S)

clean: ## remove .venv and all caches; recorded runs stay
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find firm tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt tools/setup_venv.sh
	@PYTHON="$(PYTHON)" sh tools/setup_venv.sh
	@touch $(STAMP)
