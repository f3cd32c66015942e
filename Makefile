# Everything a newcomer needs: `make trial` runs the main job, `make test` the tests. Each target first sets up what
# it needs in .venv; nothing outside this folder is touched but Debian's python3-venv, where that is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SETUP := sh deploy/setup.sh
FUZZ_S ?= 120
FUZZ_COUNT ?= 1000000
# Entries of [tool.mutants] in pyproject.toml; all of them where none is named.
MUTANTS ?=
PYTEST := $(BIN)/pytest -q

.PHONY: setup trial test lint bench soak fuzz mutants docs clean

setup: $(READY)

$(READY): pyproject.toml constraints.txt deploy/setup.sh deploy/parts.sh deploy/libiio.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" $(SETUP)
	@touch $@

trial: $(READY)
	$(BIN)/bandpact trial

# First what computes only, a process for each processor; then what runs against the clock and mostly waits, three at a
# time; then, one by one, what judges times. Of the latter two up to four tests that failed may show that the machine was
# busy: each is run three times more, alone, and has to pass each time. Compiled modules are kept, whatever the caller's
# environment says: hundreds of processes are started.
trial test bench: export PYTHONDONTWRITEBYTECODE =
test: $(READY)
	$(PYTEST) --ignore=tests/soak -m "not realtime" -n auto --dist worksteal
	rm -rf .pytest_cache
	$(PYTEST) --ignore=tests/soak -m "realtime and not alone" -n 3 --dist loadfile --no-loadscope-reorder || $(BIN)/python -m tests.unsteady
	rm -rf .pytest_cache
	$(PYTEST) --ignore=tests/soak -m alone || $(BIN)/python -m tests.unsteady

soak: $(READY)
	$(PYTEST) tests/soak --timeout=3600

mutants: $(READY)
	$(BIN)/python -m tests.mutants --show $(MUTANTS)

# On everything that takes a stranger's bytes: coverage-guided for FUZZ_S seconds, the corpus stays in .fuzz; then
# FUZZ_COUNT executions of each parser.
fuzz: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[fuzz]'
	$(BIN)/python -m tests.fuzz.bytes_in -max_total_time=$(FUZZ_S) -max_len=8192 -rss_limit_mb=2048 .fuzz
	$(BIN)/python -m tests.fuzz.counted --count $(FUZZ_COUNT)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/deptry .

# Every target beside what was measured here, into docs/benchmarks.md; ten minutes or less.
bench: $(READY)
	$(BIN)/bandpact bench table

docs: $(READY)
	@sed -i '/^<!-- from here on: make docs -->$$/q' docs/pair.md
	$(BIN)/python -m settlement.pair.diagram >> docs/pair.md
	$(BIN)/python -m agent.install.pages docs

clean:
	rm -rf $(VENV) mutants trial-report .fuzz .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
