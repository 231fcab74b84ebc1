# make demo   install everything, grade an example class end to end
# make check  after every change: lint, format, types, import contracts, and the fast tests
# make test   everything
# make audit  all audits: every known answer with its training runs and under many draws, answers made by machine, hostile ones
# make claims what the notebooks tell about their figures, measured over several seeds; an hour
# make bench  the same class graded by this, by plain nbgrader and by otter: ratios
# make build  source/ and release/ from the masters in hw1/ …
# make docs   the site, into docs/_build/html; masters that changed are run for their figures, which takes minutes
# make docs-serve  show it at http://127.0.0.1:8000
# make tables      the tables of docs/results.md from the code (make docs does that, too)
# make figures     the README's figures from the masters; make pictures: those of the site's front page
# make lock   choose versions anew for requirements.lock
# make clean  remove the environment and caches
#
# TORCH=cpu   installs a PyTorch without CUDA: make demo TORCH=cpu. Any backend of uv's --torch-backend will do.
# PYTHON=…    the Python to make the environment with

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3.14 python3,$(shell command -v $(name) 2>/dev/null)))
TORCH ?=
BIN := .venv/bin
INSTALLED := .venv/installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# tests/conftest.py says in which order tests run, and which of them stay together
PYTEST = $(BIN)/python -m pytest --dist loadscope --no-loadscope-reorder --durations 10 -n
PROCESSORS = $$(nproc 2>/dev/null || echo 2)
# else all workers would compile all tests in every run
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo check lint types fast-tests test audit claims bench build docs docs-serve tables figures pictures lock clean

demo: $(INSTALLED)
	$(BIN)/autograder build
	$(BIN)/autograder demo

check: $(INSTALLED)
	@$(MAKE) --no-print-directory --jobs 2 --output-sync=target lint types fast-tests

lint: $(INSTALLED)
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/lint-imports --no-logo

types: $(INSTALLED)
	$(BIN)/mypy

fast-tests: $(INSTALLED)
	$(PYTEST) $(PROCESSORS) -m "not slow"

# one process more than processors, because some tests wait
test: lint types
	$(PYTEST) $$(($(PROCESSORS) + 1))

audit: $(INSTALLED)
	$(BIN)/autograder audit
	$(BIN)/autograder audit --variants
	$(BIN)/autograder audit --mutants
	$(BIN)/autograder audit --hostile
	$(BIN)/autograder audit --replays
	$(BIN)/autograder audit --draws 20
	$(BIN)/autograder audit --parameters 200

claims: $(INSTALLED)
	$(PYTEST) $(PROCESSORS) -rP tests/claims/claims_*.py

bench: $(INSTALLED)
	$(BIN)/python benchmarks/class_of_forty.py

build: $(INSTALLED)
	$(BIN)/autograder build

docs: tables
	$(BIN)/python -m docs.website

docs-serve: docs
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory docs/_build/html

tables: $(INSTALLED)
	$(BIN)/python docs/tables.py

figures: $(INSTALLED)
	$(BIN)/python docs/figures.py

pictures: $(INSTALLED)
	$(BIN)/python docs/pictures.py

# only when the lock or the package's own settings changed; nothing is fetched otherwise
$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15) and "Python 3.11 to 3.14 is needed: make PYTHON=…")'
	$(PYTHON) -m venv .venv
ifeq ($(TORCH),)
	$(PIP) -r requirements.lock
else
	$(PIP) $$(grep '^uv==' requirements.lock)
	grep -vE '^(cuda-|nvidia-|triton)' requirements.lock > .venv/$(TORCH).lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --torch-backend $(TORCH) -r .venv/$(TORCH).lock
endif
	$(PIP) --no-deps --editable .
	touch $@

lock: $(INSTALLED)
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-header --no-annotate --upgrade -o requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache docs/_build *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
