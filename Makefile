# Every recipe is one line that calls what a user could call; `make` alone prints this help.
PYTHON ?= python3
BIN := .venv/bin
ENGINE ?= auto
# DEVICE and BASE_IMAGE reach the commands through the environment.
export DEVICE BASE_IMAGE
DEVICE ?= cpu
# An option is passed on only when it was given: $(call option,NAME,--flag)
option = $(if $($(1)),$(2) "$($(1))")
SIMULATION = $(call option,SIZE,--size) $(call option,CASES,--cases) $(call option,SET,--set) \
	$(call option,SEED,--seed)
LIMITS = $(call option,SPACING,--spacing) $(call option,API,--api) $(call option,MEMORY,--memory) \
	$(call option,TIMEOUT,--timeout)
OPTIONS = $(SIMULATION) $(LIMITS) $(call option,TASK,--task) $(call option,ALGORITHM,--algorithm) \
	$(call option,THROUGH,--through) $(call option,REFERENCE,--reference) $(call option,RUN,--run) \
	$(if $(RETRY),--retry)

# Networks run in containers; only as plain processes they need torch in the virtual environment.
DOCKER = docker info >/dev/null 2>&1
NETWORKS = $(if $(filter docker,$(ENGINE)),,$(shell [ "$(ENGINE)" = auto ] && $(DOCKER) || echo .venv/.networks))

.DEFAULT_GOAL := help
.PHONY: help setup benchmark segment apply train simulate list build-all peers test test-fast lint format clean

##@ Use
help: ## Show this help.
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z%-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables of benchmark:\n  DATASET=spheroid | spheroid/<recipe> | <recipe.toml> | <folder>   SIZE=mini|default|full\n  TASK=segment|enhance|synthesise|fuse  ALGORITHM=<names>  THROUGH=<names>  REFERENCE=<folder>\n  ENGINE=auto|docker|process  API=serve|exec  SPACING=z,y,x (um)  RUN=<name>\n  MEMORY=<GiB>  TIMEOUT=<s>  RETRY=1 (run failed cases again)\nVariables of segment and apply: IMAGES="a.tif folder"  OUT=<folder>\nVariables of train: NAME=<model>  DATA=<role>=<more data>  STEPS=<n>  FROM=<card>  SETTINGS=<toml>\nVariables of simulated data: SEED=0  CASES=<n>  SET="camera.photons=5 ..."  OUT=<new folder>\nVariables of build: DEVICE=cpu|cuda  BASE_IMAGE=<image with Python 3.11>\n'

benchmark: .venv/.benchmark $(NETWORKS) ## Generate or read DATASET, run the algorithms, score them, write a report.
	@$(BIN)/cytosuite benchmark "$(or $(DATASET),spheroid)" --engine "$(ENGINE)" $(OPTIONS)

segment: .venv/.benchmark $(NETWORKS) ## Segment the images IMAGES (files or folders) into the folder OUT.
	@$(BIN)/cytosuite segment $(IMAGES) --out "$(or $(OUT),segmented)" --engine "$(ENGINE)" \
		$(LIMITS) $(call option,ALGORITHM,--algorithm)

apply: .venv/.benchmark $(NETWORKS) ## Run ALGORITHM, of any task, on IMAGES into the folder OUT.
	@$(BIN)/cytosuite apply $(IMAGES) --out "$(or $(OUT),applied)" --engine "$(ENGINE)" \
		$(LIMITS) --algorithm "$(ALGORITHM)"

train: .venv/.benchmark .venv/.networks ## Train ALGORITHM on DATASET as the model NAME.
	@$(BIN)/cytosuite train "$(ALGORITHM)" "$(DATASET)" --name "$(NAME)" $(call option,DATA,--data) $(call option,STEPS,--steps) \
		$(call option,CASES,--cases) $(call option,SEED,--seed) $(call option,FROM,--from) $(call option,SETTINGS,--settings)

simulate: .venv/.benchmark ## Simulate annotated images of DATASET into the new folder OUT.
	@$(BIN)/cytosuite simulate "$(or $(DATASET),spheroid)" $(call option,OUT,--out) $(SIMULATION)

list: .venv/.benchmark ## List algorithms and datasets.
	@$(BIN)/cytosuite list

##@ Containers
build-all: .venv/.benchmark ## Build the containers of all algorithms.
	@$(BIN)/cytosuite build

build-%: .venv/.benchmark ## Build the container of one algorithm.
	@$(BIN)/cytosuite build "$*"

##@ Development
setup: .venv/.dev ## Make the virtual environment with everything for development.

peers: .venv/.dev ## Install the independent programs that agreement tests compare with (torch among them).
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,peers]"

test: .venv/.dev ## Run all tests; those with containers need a Docker daemon and skip without.
	@$(BIN)/python -m pytest

test-fast: .venv/.dev ## Run the tests that take less than 90 seconds together.
	@$(BIN)/python -m pytest -n auto -m "not slow and not docker"

lint: .venv/.dev ## Check style, format and types.
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy

format: .venv/.dev ## Put the code in its format.
	@$(BIN)/ruff check --fix && $(BIN)/ruff format

clean: ## Remove the virtual environment, caches and all runs.
	@rm -rf .venv runs docker/wheelhouse .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

.venv/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"cytosuite needs Python 3.11 or newer, found {v[0]}.{v[1]}; try make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv && touch $@

.venv/.benchmark: .venv/.python pyproject.toml
	@echo "setting up .venv (once)" && $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[benchmark]" && touch $@

.venv/.networks: .venv/.benchmark
	@echo "installing torch and MONAI (once)" && $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[networks]" && touch $@

.venv/.dev: .venv/.networks
	@echo "setting up .venv for development (once)" && $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]" && touch $@
