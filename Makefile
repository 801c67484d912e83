# One command a need, on a machine with Python, venv and make. Stamps inside .venv keep a second call from
# installing again; a stamp holds the seconds that its step took, for `make durations`.
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
# Byte code is left to the first import: most of what is installed is never imported, and compiling all of it takes as
# long as the rest of the installation.
PIP = $(PY) -m pip install -qq --no-compile --disable-pip-version-check -c requirements/constraints.txt
WORKERS ?= 2
PYTEST := $(PY) -m pytest -q -n $(WORKERS) --dist worksteal
CANDIDATES := $(or $(PYTHON),python3.11 python3 python3.12 python3.13)
FAST := not medium and not slow
# What of the fast lane runs on the newest Python, too: whatever stands near JAX's edges, less the longest of it, the
# statistics of tasks, and what waits for other processes to import JAX. At least 1,000 tests in three minutes.
NEWEST ?= 3.13
CORE := recurrent experiments tests/data tests/tables tests/house tests/recurrent/cells tests/recurrent/solvers \
  tests/recurrent/interop $(patsubst %,tests/recurrent/test_%.py,arrays initializers losses penalties streaming) \
  tests/lab/plan tests/lab/storage $(patsubst %,tests/lab/test_%.py,resume cli_errors cli_folders) \
  $(patsubst %,tests/lab/training/test_%.py,signals solving) tests/tasks/test_tasks.py
TOO_LONG := explain or finished_run_says_so or irregular_end or root_of_time or every_other_solver or draws or streak \
  or batches_are_functions or function_of_its_key or independent_solver or every_process or another_process \
  or process_ends_in_order or test_machine
# Most of a test's time goes to compiling: what is compared by value compiles quickly, in a pass of its own.
# The second pass collects only the files that have something for it.
both = $(PYTEST) --quick-compile -m "$(1)" $(2) $(3) && \
  $(PYTEST) -m "($(1)) and optimised" $(2) $$(grep -rl --include='*.py' mark.optimised $(or $(3),tests))
timed = start=$$(date +%s); { $(1); } && echo $$(($$(date +%s) - start)) > $(2)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test test-medium test-newest test-slow core check format docs durations lab notebooks clean

# Two workers on two cores: each keeps to one thread instead of one a core; so do the LAPACK calls of matrix functions.
test test-medium test-newest test-slow durations: export XLA_FLAGS ?= --xla_cpu_multi_thread_eigen=false
test test-medium test-newest test-slow durations: export OPENBLAS_NUM_THREADS ?= 1
test test-medium test-newest test-slow durations: export MPLBACKEND := Agg

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/run.stamp ## adding problem, Elman network beside LSTM: a table and a picture
	$(PY) -m experiments.adding_problem --cell elman lstm

test: $(VENV)/dev.stamp ## format, lint, types, and every test that is quick
	$(MAKE) --no-print-directory check
	$(call both,$(FAST))

test-medium: $(VENV)/dev.stamp ## full matrices, smoke presets, comparison with torch and Keras, notebooks, documentation
	@$(MAKE) --no-print-directory $(VENV)/peers.stamp || echo "torch, Keras, Equinox and Haiku: not compared"
	@$(MAKE) --no-print-directory $(VENV)/docs.stamp || echo "Sphinx: documentation not built"
	$(call both,medium,--timeout 1200 -rs)

test-newest: ## the core of `make test` on the newest Python with the newest JAX, where there is one
	@if python=$$(sh requirements/find_python $(NEWEST)); then \
	  $(MAKE) --no-print-directory core VENV=.venv-$(NEWEST) PYTHON=$$python; \
	else echo "no Python $(NEWEST) here: not tested on it"; fi

core: $(VENV)/dev.stamp
	$(call both,$(FAST),-k "not ($(TOO_LONG))" -rs $(STORE),$(CORE))

test-slow: $(VENV)/dev.stamp ## claims about learning: hours
	$(PYTEST) -m slow --timeout 14400

check: $(VENV)/dev.stamp ## format, lint and types alone
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(PY)

format: $(VENV)/dev.stamp ## rewrite the code as `make test` wants it
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

docs: $(VENV)/docs.stamp ## the documentation as HTML, in docs/_build/html; a warning is an error
	$(PY) -m sphinx -q -E -W --keep-going -b html -d docs/_build/doctrees docs docs/_build/html

durations: $(VENV)/dev.stamp ## measure the lanes of CI into tests/durations.json
	$(call timed,$(MAKE) --no-print-directory check,$(VENV)/check.stamp)
	$(call both,$(FAST),--store-durations test)
	@$(MAKE) --no-print-directory $(VENV)/peers.stamp || echo "torch, Keras, Equinox and Haiku: not compared"
	@$(MAKE) --no-print-directory $(VENV)/docs.stamp || echo "Sphinx: documentation not built"
	$(call both,medium,--timeout 1200 --store-durations test-medium)
	$(MAKE) --no-print-directory test-newest STORE="--store-durations test-newest"

lab: $(VENV)/dev.stamp ## JupyterLab with the project installed, opened on the notebooks
	@$(PY) -c "import jupyterlab" 2>/dev/null || $(PIP) jupyterlab
	$(PY) -m jupyterlab notebooks

notebooks: $(VENV)/dev.stamp ## run the notebooks and keep what they show
	$(BIN)/jupytext --sync notebooks/*.py
	$(PY) -m jupyter execute --inplace notebooks/*.ipynb

clean: ## remove the environment and the caches; runs stay
	rm -rf $(VENV) .venv-* .pytest_cache .ruff_cache .cache build dist docs/_build *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/python.stamp:
	@if $(PY) -m pip --version >/dev/null 2>&1; then touch $@; exit 0; fi; \
	for python in $(CANDIDATES); do \
	  if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "environment: $(VENV), $$($$python --version)"; \
	    $$python -m venv $(VENV) && touch $@; exit; \
	  fi; \
	done; \
	echo "error: no Python 3.11 or newer among: $(CANDIDATES); name one with make PYTHON=..." >&2; exit 2

$(VENV)/run.stamp: pyproject.toml requirements/constraints.txt | $(VENV)/python.stamp
	@echo "installing what running needs"
	@$(call timed,$(PIP) -e .,$@)

$(VENV)/dev.stamp: pyproject.toml requirements/constraints.txt | $(VENV)/python.stamp
	@echo "installing what running, testing and notebooks need"
	@$(call timed,$(PIP) -e '.[dev]',$@)
	@cp $@ $(VENV)/run.stamp

$(VENV)/peers.stamp: requirements/peers.txt requirements/constraints.txt | $(VENV)/dev.stamp
	@echo "installing torch, Keras, Equinox and Haiku"
	@$(call timed,$(PIP) -r requirements/peers.txt,$@)

$(VENV)/docs.stamp: requirements/docs.txt requirements/constraints.txt | $(VENV)/dev.stamp
	@echo "installing Sphinx"
	@$(call timed,$(PIP) -r requirements/docs.txt,$@)
