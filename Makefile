# Each target does all set-up on a machine that has only Python >= 3.11 and make.
# Set-up happens once; it happens again when the lock file or pyproject.toml changes.
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3 python; do \
  if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
  then echo $$p; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TESTED := $(VENV)/.tested
COMPILED := $(VENV)/.compiled
WALKS := compiled/pyproject.toml compiled/setup.py $(wildcard compiled/bridleway_compiled/*.py*) \
  $(addprefix src/bridleway/fhir/,forms/plain.py numbers.py resources.py dates.py)
LOCKS := tests/locks
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: demo test compiled coverage mutants bench evidence fuzz check lock clean

demo: $(READY)
	$(BIN)/bridleway demo

test: $(TESTED)
	@$(MAKE) --no-print-directory compiled || echo "Without the walks in C, which are optional, their tests are skipped."
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

# Optional: FHIR's simplest walks in C, which take about half the time. Needs a C compiler.
compiled: $(COMPILED)
	@:

bench: $(READY)
	@$(MAKE) --no-print-directory compiled || echo "Without the walks in C, which are optional, they are not measured."
	$(BIN)/python -m benchmarks

# Every branch of what decides and of what keeps count is run by its own tests: 100 %, or it fails.
COVERING := tests/passport tests/passport_document tests/disclosure tests/ledger tests/questions tests/model \
  tests/node/test_extracts.py
coverage: $(READY)
	BRIDLEWAY_CI=1 $(BIN)/python -m coverage run -m pytest -q $(COVERING)
	$(BIN)/python -m coverage report

# SEED=7 another sample, COUNT=50 a smaller one (of each package), PACKAGE=ledger one alone.
mutants: $(READY)
	$(BIN)/python -m benchmarks.mutants $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT)) $(if $(PACKAGE),--package $(PACKAGE))

# PART=kills,power runs some, SEED=7 another sample; RESUME=1 skips what is recorded for this source.
MINUTES ?= 5
fuzz: $(READY)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(PIP) install --no-deps --only-binary :all: 'atheris>=3,<4' || \
	  echo "atheris does not install here: inputs are damaged blindly."
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

evidence: $(READY)
	$(BIN)/python -m benchmarks.evidence $(if $(PART),--part $(PART)) $(if $(SEED),--seed $(SEED)) $(if $(RESUME),--resume)

check: $(READY)
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/bandit -q -r src -c pyproject.toml
	$(BIN)/python -m pytest -q tests/test_structure.py

# An environment without pip is one that an earlier try left behind half-made.
$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { \
	  echo "Bridleway needs Python 3.11 or newer, and none was found. Install it, or run: make PYTHON=/path/to/python"; \
	  exit 1; }
	@$(PIP) --version >/dev/null 2>&1 || { \
	  echo "Setting up $(VENV) with $(PYTHON): a minute or two, once."; \
	  rm -rf $(VENV); \
	  $(PYTHON) -m venv $(VENV) || { \
	    rm -rf $(VENV); \
	    echo "$(PYTHON) cannot make environments. On Debian and Ubuntu: apt install python3-venv; then run make again."; \
	    exit 1; }; }
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $(READY)

# Spark (430 MB) and pycanon, which tests compare with and nothing else needs.
$(TESTED): $(READY) $(wildcard $(LOCKS)/*.lock)
	$(PIP) install --require-hashes --no-deps -r $(LOCKS)/build.lock
	$(PIP) install --require-hashes --no-deps --no-build-isolation -r $(LOCKS)/oracles.lock
	command -v java >/dev/null || $(PIP) install --require-hashes --no-deps -r $(LOCKS)/java.lock
	@touch $(TESTED)

$(COMPILED): $(READY) $(WALKS)
	@command -v cc >/dev/null || { \
	  echo "There is no C compiler. On Debian and Ubuntu: apt install gcc python3-dev; then run make compiled again."; \
	  exit 1; }
	$(PIP) install --require-hashes --no-deps -r $(LOCKS)/build.lock -r $(LOCKS)/compiled.lock
	$(PIP) install --no-deps --no-build-isolation ./compiled
	@touch $(COMPILED)

# Renews the lock file; needs pip-tools in the environment. Extras that are not listed stay unlocked:
# who runs the demo need not fetch Spark's 430 MB, which tests/locks has.
lock:
	$(PIP) install pip-tools
	$(BIN)/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras \
	  --extra dev --build-deps-for editable --no-emit-index-url --no-emit-trusted-host \
	  --no-emit-find-links --no-header --output-file requirements.lock pyproject.toml

clean:
	rm -rf $(VENV) build compiled/build dist *.egg-info compiled/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
