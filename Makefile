# make demo   install everything, grade an example class end to end
# make test   lint, types and all tests
# make bench  the same class graded by this, by plain nbgrader and by otter: ratios
# make build  source/ and release/ from the masters in hw1/ …
# make figures  the README's figures, from the masters
# make lock   choose versions anew for requirements.lock
# make clean  remove the environment and caches

PYTHON ?= $(firstword $(foreach name,python3.11 python3.12 python3.13 python3,$(shell command -v $(name) 2>/dev/null)))
BIN := .venv/bin
INSTALLED := .venv/installed

.PHONY: demo test bench build figures lock clean

demo: $(INSTALLED)
	$(BIN)/autograder build
	$(BIN)/autograder demo

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest

bench: $(INSTALLED)
	$(BIN)/python benchmarks/class_of_forty.py

build: $(INSTALLED)
	$(BIN)/autograder build

figures: $(INSTALLED)
	$(BIN)/python docs/figures.py

# only when the lock or the package's own settings changed; nothing is fetched otherwise
$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=…")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

lock: $(INSTALLED)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --no-header --no-annotate -o requirements.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +
