# Every target installs what it needs: a virtual environment in .venv, and for tests the tools of scripts/setup-system.
PYTHON ?= python3
BIN := .venv/bin
PROCESSES ?= 4

.PHONY: demo test points sweep matrix check schemas docs bench clean
BENCHES := copy latency delta downtime memory answering recovery inventory prediction

demo: .venv/.run
	@$(BIN)/xo-warmig demo

# Hundreds of processes import the same modules, so these are compiled once, whatever the environment says.
# Tracebacks are Python's own: pytest's reads sources anew, at which Python 3.11 fails now and then in a deep stack, and all ends there.
test: .venv/.dev .made/system .made/node
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(PROCESSES) --dist loadgroup --tb=native $(TESTS)

# All points of the engine's own sweeps, on pools in memory; `make test` takes a part of them.
points: .venv/.dev
	XO_WARMIG_SWEEP=all PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(PROCESSES) --tb=native tests/engine

# Every state that a killed server can leave, by tests/faults. POINTS names variants, or single points as the sweep prints them.
sweep: .venv/.dev .made/system
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m tests.faults $(POINTS)

# Every valid combination of releases, kinds of VMs and storage; `make test` takes a part of them.
matrix: .venv/.dev .made/system
	XO_WARMIG_MATRIX=all PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n $(PROCESSES) --tb=native tests/matrix

check: .venv/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m xo_warmig.api.schemas --check
	$(BIN)/python -m xo_warmig.engine.phases_page --check
	$(BIN)/python -m xo_warmig.engine.findings_page --check

schemas: .venv/.run
	$(BIN)/python -m xo_warmig.api.schemas --write

docs: .venv/.run
	$(BIN)/python -m xo_warmig.engine.phases_page --write
	$(BIN)/python -m xo_warmig.engine.findings_page --write

# All of them, one after the other, whether or not each reaches its goals; bench-NAME is one, with OPTIONS (--json, --all).
bench: .venv/.run .made/system
	@mkdir -p .made/bench; failed=; for each in $(BENCHES); do \
	echo "bench.$$each ..." >&2; $(BIN)/python -m bench.$$each --json >.made/bench/$$each.json || failed="$$failed $$each"; \
	[ -s .made/bench/$$each.json ] || rm .made/bench/$$each.json; done; \
	$(BIN)/python -m bench.page .made/bench && { [ -z "$$failed" ] || { echo "not reached, or failed:$$failed" >&2; exit 1; }; }

bench-%: .venv/.run .made/system
	$(BIN)/python -m bench.$* $(OPTIONS)

clean:
	rm -rf .venv .made tests/clients/node_modules

.venv/.run: pyproject.toml
	@scripts/setup-venv "$(PYTHON)" .

.venv/.dev: pyproject.toml
	@scripts/setup-venv "$(PYTHON)" ".[dev]"
	@touch .venv/.run .venv/.dev

.made/system: scripts/setup-system
	@scripts/setup-system
	@mkdir -p .made && touch $@

.made/node: tests/clients/package.json tests/clients/package-lock.json .made/system
	@cd tests/clients && npm ci --no-audit --no-fund --loglevel=error
	@mkdir -p .made && touch $@
