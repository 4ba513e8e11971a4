# make help lists the targets. PYTHON: interpreter for .venv. EXTRAS: extras of setup.cfg to install there.
# VENV: folder of the virtual environment. PYTHONS: interpreters for test-pythons. ARGS: further arguments for pytest.
# JOBS: number of processes that share the tests. DATA: folder of the corpora for bench.
PYTHON ?= python3
PYTHONS ?= python3.10 python3.11 python3.12 python3.13
EXTRAS ?= dev
ARGS ?=
JOBS ?= auto
FAST := $(addprefix tests/,test_architecture.py crf heads layers network weightings)
DATA ?= $(or $(SPACY_MTL_DATA),../shared/data)

# With pyenv, python3.12 runs only if its version is activated, so all installed versions are activated here.
ifneq ($(shell command -v pyenv),)
export PYENV_VERSION := $(shell pyenv version-name):$(shell pyenv versions --bare --skip-aliases | paste -sd : -)
endif

# Tests run in as many processes as there are cores. With several threads each, torch's threads would wait for each
# other most of the time.
test test-all: export OMP_NUM_THREADS ?= 1

VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
DEPS := $(VENV)/deps-$(EXTRAS).stamp
DOCS_DEPS := $(VENV)/deps-$(EXTRAS),docs.stamp
WHEEL := $(VENV)/wheel.stamp
PACKAGE := $(shell find spacy_mtl -name '*.py') spacy_mtl/py.typed setup.cfg pyproject.toml MANIFEST.in README.md LICENSE

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all test-newest test-spacy-transformers test-pythons lint bench docs clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DEPS)  ## make .venv with pinned versions and an editable install of this folder
	$(PIP) --no-deps --no-build-isolation --editable .
	@rm -f $(WHEEL)

demo: $(WHEEL)  ## install the wheel, make data, train, evaluate, package, and print the scores
	$(BIN)/python -m spacy project run all

test: $(WHEEL)  ## install the wheel and run the tests that are not slow
	SPACY_MTL_INSTALLED=1 $(BIN)/pytest -n $(JOBS) --dist loadfile -m "not slow" $(ARGS)

test-all: $(WHEEL)  ## install the wheel and run all tests
	SPACY_MTL_INSTALLED=1 $(BIN)/pytest -n $(JOBS) --dist loadfile $(ARGS)

test-newest:  ## run the tests of folders without long trainings with the newest Python, in .venv-3.13
	$(MAKE) test PYTHON=python3.13 VENV=.venv-3.13 EXTRAS=dev ARGS="$(FAST) $(ARGS)"

test-spacy-transformers:  ## install spacy-transformers in .venv and run the tests that need it
	$(MAKE) test EXTRAS=dev,transformers,spacy-transformers ARGS="-m spacy_transformers $(ARGS)"

test-pythons:  ## run the same as test with each of PYTHONS, each in its own virtual environment
	@missing=; for python in $(PYTHONS); do $$python -c '' 2> /dev/null || missing="$$missing $$python"; done; \
	if [ -n "$$missing" ]; then \
		echo "test-pythons:$$missing cannot be run; install what is missing, or name others: make test-pythons PYTHONS=\"...\""; \
		exit 1; \
	fi
	@failed=; for python in $(PYTHONS); do \
		echo "test-pythons: $$python"; \
		version=$$($$python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
		$(MAKE) test PYTHON=$$python VENV=.venv-$$version || failed="$$failed $$python"; \
	done; \
	if [ -n "$$failed" ]; then echo "test-pythons: failed with$$failed"; exit 1; fi

lint: $(DEPS)  ## check style (ruff) and types (mypy)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(WHEEL)  ## measure speed beside spaCy's own pipelines; write results and pictures to docs/benchmarks
	$(PIP) matplotlib
	$(BIN)/python benchmarks/speed/encoder.py --data $(DATA)/snips/train.spacy
	$(BIN)/python benchmarks/speed/onnx_encoder.py --data $(DATA)/snips/train.spacy
	$(BIN)/python benchmarks/speed/integer_products.py
	$(BIN)/python benchmarks/speed/crf_cost.py $(DATA)/snips/train.spacy
	$(BIN)/python benchmarks/speed/pipelines.py snips --data $(DATA)/snips
	$(BIN)/python benchmarks/speed/pipelines.py ewt --data $(DATA)/ewt
	$(BIN)/python benchmarks/speed/growth_of_cost.py --data $(DATA)/ewt/train.spacy
	$(BIN)/python benchmarks/speed/pictures.py

docs: $(DOCS_DEPS)  ## write docs/project.md and docs/reference, and build the site in site/ (Python 3.11 or later)
	$(BIN)/python -m spacy project document --no-emoji --output docs/project.md
	sed -i.bak 's|(project.yml)|(../project.yml)|' docs/project.md && rm docs/project.md.bak
	PYTHONPATH=. $(BIN)/python docs/make_reference.py docs/reference
	PYTHONPATH=. $(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --builder html --doctree-dir build/doctrees docs site

clean:  ## remove what was built, trained and cached, but keep .venv and downloads
	rm -rf build dist site *.egg-info .mypy_cache .pytest_cache .ruff_cache corpus training metrics packages project.lock
	rm -f $(WHEEL)
	find assets benchmarks spacy_mtl tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/deps-%.stamp: setup.cfg constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) setuptools
	$(PIP) --no-build-isolation --editable ".[$*]"
	rm -f $(WHEEL)
	touch $@

# The wheel is built from the sdist and replaces the editable install, which make setup restores.
$(WHEEL): $(DEPS) $(PACKAGE)
	rm -rf dist
	$(BIN)/python -m build --no-isolation > $(VENV)/build.log 2>&1 || { cat $(VENV)/build.log; exit 1; }
	$(PIP) --no-deps --force-reinstall dist/*.whl
	touch $@
