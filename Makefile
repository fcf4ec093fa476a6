# make smoke   prepare demo data, train three recipes, print the leaderboard (sets .venv up first)
# make test    lint and the test-suite
# make sweep   every recipe, small, through the whole pipeline (half an hour)
# make fit     has every network learn eight images by heart (a quarter of an hour)
# make gpu     what only a GPU shows: broken off and compiled runs, pixels, steps that never wait (needs one)
# make faults  the long campaign of faults: 100 kills, every damage to every file of a run (half an hour)
# make lint    ruff (rules and format) and mypy
# make lock    resolve requirements.lock anew from pyproject.toml
#
# PYTHON=python3.12   another interpreter
# CUDA=cu12           DALI for CUDA 12; resolved when installed, the lock is for CUDA 13

PYTHON ?= python3
CUDA ?= cu13
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed-$(CUDA)
DEMO := data/demo
SMOKE_RUNS := runs/smoke
UV := $(BIN)/uv pip install -q --python $(BIN)/python --compile-bytecode

# Byte code halves the start of every process.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install smoke test sweep fit gpu faults lint lock

install: $(INSTALLED)

$(BIN)/uv:
	@sh ./.ci/make-venv $(PYTHON) $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check 'uv>=0.5'

$(INSTALLED): $(BIN)/uv requirements.lock pyproject.toml
ifeq ($(CUDA),cu13)
	@$(UV) --require-hashes -r requirements.lock
	@$(UV) --no-deps -e .
else
	@$(UV) -e '.[$(CUDA),test]'
endif
	@rm -f $(VENV)/.installed-* && touch $@

smoke: $(INSTALLED)
	@$(BIN)/top1 prep demo $(DEMO)
	@rm -rf $(SMOKE_RUNS)
	@$(BIN)/top1 submit efficientnetv2_s+tiny lenet5 alexnet+tiny --data $(DEMO) --runs $(SMOKE_RUNS) \
	  --local --parallel 2
	@$(BIN)/top1 leaderboard --runs $(SMOKE_RUNS)

lint: $(INSTALLED)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

# Both install packages for the tests where root may. Three processes on two cores, since the tests on a real
# SLURM wait most of the time; loadfile, since the tests of a file share what is slow to make.
test: lint
	@sh ./.ci/install-slurm
	@sh ./.ci/install-chromium
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

sweep: $(INSTALLED)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 tests/sweep.py -k pipeline

fit: $(INSTALLED)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 tests/sweep.py -k fits

gpu: $(INSTALLED)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 4 tests/gpu

faults: $(INSTALLED)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -s tests/faults --long

lock: $(BIN)/uv
	@$(BIN)/uv pip compile -q pyproject.toml --universal --python-version 3.11 --extra cu13 --extra test \
	  --generate-hashes --no-header --no-annotate -o requirements.lock
