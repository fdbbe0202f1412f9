# Every recipe is one line that calls what a user could call; `make` alone prints this help.
PYTHON ?= python3
BIN := .venv/bin
INSTALL = $(BIN)/python docker/install.py --device $(DEVICE)
ENGINE ?= auto
DEVICE ?= cpu
PICTURES ?= 1
# They reach the commands through the environment.
export DEVICE BASE_IMAGE SIF PICTURES REPOSITORY NIGHTLY

goals := help setup guard benchmark segment apply train simulate list doctor new rehearse export preflight bundle ctc compare compare-methods tables build-all build-evaluation networks peers test test-fast test-long fuzz lint format docs dist clean
# docker/make.py knows the variables of each goal: $(call given,GOAL,NAME ...) gives the options of its command, but for those
# that its recipe places. A variable on the command line that no wanted goal takes is refused, before anything is done.
ask = $(PYTHON) docker/make.py
quoted = '$(subst ','\'',$(MAKEOVERRIDES))'
given = $(shell $(ask) options "$(1)" "$(2)" $(quoted))
wanted := $(or $(MAKECMDGOALS),help)
ifeq ($(filter-out $(goals) build-% .venv/%,$(wanted)),)
refused := $(shell $(ask) check "$(wanted)" "" $(quoted))
$(if $(refused),$(error $(refused)))
$(if $(filter cpu cuda,$(DEVICE)),,$(error DEVICE must be cpu or cuda, found "$(DEVICE)"))
endif

# Networks run in containers; only as plain processes they need torch in the virtual environment.
DOCKER = docker info >/dev/null 2>&1
NETWORKS := $(if $(filter docker podman apptainer,$(ENGINE))$(if $(filter benchmark segment apply,$(wanted)),,none),,$(shell [ "$(ENGINE)" = auto ] && $(DOCKER) || echo .venv/.networks-$(DEVICE)))
# Dask, where work is spread.
dask := $(if $(CLUSTER),.venv/.cluster)

# Tests with containers mostly wait: they run beside the others, attacks apart, and what they say comes after them. Only
# modules with such a mark are collected for them: all others load for half a minute.
PYTEST := $(BIN)/python -m pytest
# Files that a container writes into memory count as its own: those of these tests lie on the disk.
contained = PYTEST_DEBUG_TEMPROOT= $(PYTEST) -m "$(1) and (docker or cluster)" $$(grep -rlE --include="test_*.py" $(2) -e "mark\.(docker|cluster)\b") >$$words/$(3) 2>&1 &
both = words=$$(mktemp -d); $(call contained,$(1),tests/hostile,attacks) attacks=$$!; $(call contained,$(1),--exclude-dir=hostile tests,others) others=$$!; \
	$(PYTEST) -n auto --dist worksteal -m "$(1) and not docker and not cluster"; first=$$?; \
	wait $$attacks; second=$$?; wait $$others; third=$$?; cat $$words/*; rm -r $$words; exit $$((first + second + third))

# `make help GOAL` runs nothing.
asked := $(if $(filter help,$(firstword $(MAKECMDGOALS))),$(filter-out help,$(MAKECMDGOALS)))
$(if $(filter-out $(goals) build-%,$(asked)),$(error make help: no goal $(filter-out $(goals) build-%,$(asked)); `make` lists them))

.DEFAULT_GOAL := help
.PHONY: $(goals)

all_goals = awk -F ':.*\#\# ' '/^\#\#@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z%-]+:.*\#\# /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST) && \
	printf "\nVariables of a goal, NAME=value: make help GOAL; of all: docs/variables.md\n"
its_variables = $(ask) help "$(asked)" "" ""

##@ Use
help: ## Show all goals; make help GOAL: the variables of one.
	@$(if $(asked),$(its_variables),$(all_goals))

ifneq ($(asked),)
$(asked): ; @:
else
benchmark: .venv/.cytosuite $(NETWORKS) $(dask) ## Generate or read DATASET, run the algorithms, score them, write a report.
	@$(BIN)/cytosuite benchmark "$(or $(DATASET),spheroid)" $(call given,benchmark,DATASET)

segment: .venv/.cytosuite $(NETWORKS) ## Segment the images IMAGES (files or folders) into the folder OUT.
	@$(BIN)/cytosuite segment $(IMAGES) $(call given,segment,IMAGES)

apply: .venv/.cytosuite $(NETWORKS) ## Run ALGORITHM, of any task, on IMAGES into the folder OUT.
	@$(BIN)/cytosuite apply $(IMAGES) $(call given,apply,IMAGES)

train: .venv/.cytosuite .venv/.networks-$(DEVICE) ## Train ALGORITHM on DATASET, and images REAL, as the model NAME.
	@$(BIN)/cytosuite train "$(ALGORITHM)" "$(DATASET)" $(call given,train,ALGORITHM DATASET REAL) $(if $(REAL),--data "real=$(REAL)")

simulate: .venv/.cytosuite $(dask) ## Simulate annotated images of DATASET into the new folder OUT.
	@$(BIN)/cytosuite simulate "$(or $(DATASET),spheroid)" $(call given,simulate,DATASET)

list: .venv/.cytosuite ## List algorithms, models with their scores, datasets and recipes.
	@$(BIN)/cytosuite list $(call given,list)

doctor: .venv/.cytosuite ## Look at this machine: engine, GPU, disk, packages, and the command that mends each.
	@$(BIN)/cytosuite doctor $(call given,doctor)

##@ Challenges
new: .venv/.cytosuite ## Start the algorithm ALGORITHM for TASK: a folder that builds, runs and passes its checks.
	@$(BIN)/cytosuite new "$(ALGORITHM)" $(call given,new,ALGORITHM)

rehearse: .venv/.cytosuite ## Run ALGORITHM as a platform would, under the limits of PROFILE.
	@$(BIN)/cytosuite rehearse "$(ALGORITHM)" $(call given,rehearse,ALGORITHM)

export: .venv/.cytosuite ## Write the files of ALGORITHM to upload: image, models, export.json.
	@$(BIN)/cytosuite export "$(ALGORITHM)" $(call given,export,ALGORITHM)

preflight: .venv/.cytosuite ## Check FILE before its upload: image archive, tarball of models, folder of outputs.
	@$(BIN)/cytosuite preflight $(FILE) $(call given,preflight,FILE)

build-evaluation: .venv/.cytosuite ## Build the evaluation container and the ground truth of DATASET; rehearse it on RUN.
	@$(BIN)/cytosuite build-evaluation "$(or $(DATASET),spheroid)" $(if $(filter process,$(ENGINE)),,--image) $(call given,build-evaluation,DATASET)

ctc: .venv/.cytosuite ## Write RUN, a run or label images, in the layout of the Cell Tracking Challenge.
	@$(BIN)/cytosuite export $(ALGORITHM) --ctc "$(RUN)" $(call given,ctc,ALGORITHM RUN)

bundle: .venv/.networks-$(DEVICE) ## Write the models of ALGORITHM as MONAI bundles.
	@$(BIN)/cytosuite maintain bundle "$(ALGORITHM)" $(call given,bundle,ALGORITHM)

##@ Scores
compare: .venv/.cytosuite ## Compare RUN with the run WITH, else the accepted scores of its data; code 1 at a regression.
	@$(BIN)/cytosuite compare "$(or $(WITH),--accepted)" "$(RUN)" $(call given,compare,RUN WITH)

compare-methods: .venv/.networks-$(DEVICE) ## Train and run all methods, those of others too, on the same images; DATA: folder of real ones.
	@$(BIN)/python performance/methods.py $(call given,compare-methods)

guard: .venv/.cytosuite .venv/.networks-$(DEVICE) ## Hold what is shipped for each task, or for TASK, against its accepted scores, as every night.
	@.ci/guard $(TASK)

tables: .venv/.cytosuite ## Write the tables of scores and models in README.md and weights/README.md.
	@$(BIN)/cytosuite maintain tables

##@ Containers
build-all: .venv/.cytosuite ## Build the containers of all algorithms but the optional ones, which ALGORITHM=all adds.
	@$(BIN)/cytosuite build $(ALGORITHM) $(call given,build-all,ALGORITHM)

build-%: .venv/.cytosuite ## Build the container of one algorithm.
	@$(BIN)/cytosuite build "$*" $(call given,build-all,ALGORITHM)

##@ Development
networks: .venv/.networks-$(DEVICE) ## Install torch and MONAI, which networks need outside of containers.

setup: .venv/.dev ## Make the virtual environment with everything for development.

peers: .venv/.dev ## Install the independent programs that agreement tests compare with (torch among them).
	@$(INSTALL) dev peers
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --ignore-requires-python "sagemaker-shim>=0.8.3"

test: .venv/.dev ## Run the tests; those with containers need a Docker daemon, those of clusters Slurm, and skip without.
	@$(call both,not long)

test-long: .venv/.dev ## Run the tests that take long and rarely break, as every night.
	@$(call both,long)

test-fast: .venv/.dev ## Run the tests without slow ones and containers: some 10 minutes on two cores.
	@$(PYTEST) -n auto -m "not slow and not long and not docker and not cluster"

fuzz: .venv/.dev ## Feed altered files to every reader for MINUTES; findings lie in runs/fuzz.
	@$(BIN)/python -m tests.hostile.fuzz $(call given,fuzz)

lint: .venv/.dev ## Check style, format and types.
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy

format: .venv/.dev ## Put the code in its format.
	@$(BIN)/ruff check --fix && $(BIN)/ruff format

dist: .venv/.python ## Build the sdist and the wheel for a release into dist/, and check both.
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check build twine && rm -f dist/cytosuite[-_]*.whl dist/cytosuite-*.tar.gz && $(BIN)/python -m build && $(BIN)/python -m build --wheel --outdir dist weights && rm -rf weights/build weights/*.egg-info && $(BIN)/python -m twine check --strict dist/cytosuite[-_]* && du -h dist/cytosuite[-_]*

docs: .venv/.docs ## Build the documentation site in build/site; PICTURES=0 draws no gallery, REPOSITORY links to sources.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build -f docs/site/mkdocs.yml && echo "written: build/site/index.html"

clean: ## Remove the virtual environment, caches and all runs.
	@rm -rf .venv runs build docker/packages .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

.venv/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"cytosuite needs Python 3.11 or newer, found {v[0]}.{v[1]}; try make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv && touch $@

.venv/.cytosuite: .venv/.python pyproject.toml
	@echo "setting up .venv (once)" && $(INSTALL) && touch $@

# What most first benchmarks compile, in processes of their own beside the download; the rest is compiled by what needs it.
loops = for parts in "spheroid scores" "segmentation cellpose3d watershed"; do $(BIN)/cytosuite maintain compile $$parts >/dev/null 2>&1 & done

.venv/.networks-%: .venv/.cytosuite docker/requirements-%.txt
	@echo "installing torch and MONAI for $* (once)" && { $(loops); $(BIN)/python docker/install.py --device $* networks; } && wait && rm -f .venv/.networks-* && touch $@

.venv/.cluster: .venv/.cytosuite
	@echo "installing Dask (once)" && $(INSTALL) cluster && touch $@

.venv/.docs: .venv/.cytosuite
	@echo "installing MkDocs (once)" && $(INSTALL) docs && touch $@

.venv/.dev: .venv/.networks-$(DEVICE)
	@echo "setting up .venv for development (once)" && $(INSTALL) dev && touch $@
endif
