# Every recipe is one line that calls what a user could call; `make` alone prints this help.
PYTHON ?= python3
BIN := .venv/bin
ENGINE ?= auto
# CUDA=1 is DEVICE=cuda; on the command line alone, since systems set a variable of this name.
cuda := $(if $(findstring command line,$(origin CUDA)),$(filter-out 0 no,$(CUDA)))
DEVICE ?= cpu
ifneq ($(cuda),)
DEVICE := cuda
endif
# They reach the commands through the environment.
export DEVICE BASE_IMAGE SIF

# The variables that each goal takes. NAME=x is passed on as --name x; a new one is one word here.
simulation := SIZE CASES SET SEED
running := ENGINE API MEMORY TIMEOUT SPACING MODEL CHANNEL_INDEX FRAME SCENE RECURSIVE DEVICE BASE_IMAGE SIF
benchmark_takes := DATASET $(simulation) $(running) TASK ALGORITHM THROUGH REFERENCE MIN_OBJECT_VOXELS RUN RETRY \
	SOCKETS INPUT_FORMAT KEEP_GOING BLIND CLUSTER SITE VERIFY WIDE
segment_takes := IMAGES OUT ALGORITHM OVERWRITE $(running)
apply_takes := $(segment_takes)
train_takes := ALGORITHM DATASET SIMULATED REAL NAME DATA STEPS FROM SETTINGS DEVICE $(simulation) AUTHORS
simulate_takes := DATASET OUT $(simulation) FRAMES CLUSTER SITE
list_takes := WIDE
build_takes := ENGINE DEVICE BASE_IMAGE DRY_RUN
new_takes := ALGORITHM TASK
rehearse_takes := ALGORITHM TASK DATASET PROFILE CASES SOCKETS INPUT_FORMAT API ENGINE MEMORY TIMEOUT SPACING MODEL DEVICE BASE_IMAGE
export_takes := ALGORITHM API MODELS OUT ENGINE DEVICE BASE_IMAGE
preflight_takes := FILE TASK
bundle_takes := ALGORITHM MODEL OUT
build-evaluation_takes := DATASET TASK THROUGH REFERENCE MIN_OBJECT_VOXELS OUT RUN $(simulation) SPACING ENGINE DEVICE BASE_IMAGE
ctc_takes := RUN ALGORITHM OUT
compare_takes := RUN WITH METRICS THRESHOLDS MARKDOWN BADGE
fuzz_takes := MINUTES SEED DEVICE
$(foreach goal,networks setup peers test test-fast test-long lint format,$(eval $(goal)_takes := DEVICE))
goals := help setup benchmark segment apply train simulate list new rehearse export preflight bundle ctc compare tables build-all build-evaluation networks peers test test-fast test-long fuzz lint format clean
# $(call given,GOAL,without): the options of a goal that were given, but for those that it places itself.
placed := DATASET SIMULATED REAL IMAGES FILE DEVICE BASE_IMAGE SIF
# A switch is on by 1 or yes, off by 0, no or nothing.
switches := RETRY RECURSIVE KEEP_GOING BLIND DRY_RUN VERIFY WIDE OVERWRITE
flag = --$(shell echo $(1) | tr A-Z_ a-z-)
given = $(strip $(foreach name,$(filter-out $(placed) $(2),$($(1)_takes)),$(if $(filter-out $(if $(filter $(switches),$(name)),0 no),$($(name))),\
	$(call flag,$(name)) $(if $(filter-out $(switches),$(name)),"$($(name))"))))

# A variable on the command line that no wanted goal takes is refused, before anything is done.
wanted := $(or $(MAKECMDGOALS),help)
taken := PYTHON $(foreach goal,$(wanted),$(or $($(goal)_takes),$($(goal:build-%=build)_takes)))
taken += $(if $(filter DEVICE,$(taken)),CUDA)
typed := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
unknown := $(firstword $(filter-out $(taken) SHELL,$(typed)))
near = import difflib, sys; name, *known = sys.argv[1:]; found = difflib.get_close_matches(name.upper(), known, 1); \
	print("the nearest is " + found[0] if found else "there are " + " ".join(known))
ifeq ($(filter-out $(goals) build-% .venv/%,$(wanted)),)
$(if $(unknown),$(error make $(wanted): no variable $(unknown); $(shell $(PYTHON) -c '$(near)' $(unknown) $(taken))))
$(if $(and $(filter train,$(wanted)),$(DATASET),$(SIMULATED)),$(error make train: DATASET and SIMULATED mean the same, give one of them))
$(foreach name,$(filter $(switches),$(taken)),$(if $(filter-out 0 no 1 yes,$($(name))),$(error make $(wanted): expected $(name)=1 or 0, found "$($(name))")))
$(if $(filter-out 1 yes,$(cuda)),$(error make $(wanted): expected CUDA=1 or 0, found "$(CUDA)"))
$(if $(filter cpu cuda,$(DEVICE)),,$(error DEVICE must be cpu or cuda, found "$(DEVICE)"))
$(if $(and $(cuda),$(filter cpu,$(DEVICE))),$(error CUDA=$(CUDA) means DEVICE=cuda, found DEVICE=cpu too; give one of them))
endif

# Networks run in containers; only as plain processes they need torch in the virtual environment.
DOCKER = docker info >/dev/null 2>&1
NETWORKS := $(if $(filter docker podman apptainer,$(ENGINE))$(if $(filter benchmark segment apply,$(wanted)),,none),,$(shell [ "$(ENGINE)" = auto ] && $(DOCKER) || echo .venv/.networks-$(DEVICE)))
# Dask, where work is spread.
WORKERS := $(if $(CLUSTER),.venv/.cluster)

# Tests with containers mostly wait: they run beside the others, and what they say comes after them.
PYTEST := $(BIN)/python -m pytest
both = words=$$(mktemp); $(PYTEST) -m "$(1) and (docker or cluster)" >$$words 2>&1 & $(PYTEST) -n auto --dist worksteal -m "$(1) and not docker and not cluster"; \
	first=$$?; wait $$!; second=$$?; cat $$words; rm $$words; exit $$((first + second))

.DEFAULT_GOAL := help
.PHONY: $(goals)

##@ Use
help: ## Show this help.
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z%-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@printf '\nVariables of benchmark:\n  DATASET=spheroid | spheroid/<recipe> | <recipe.toml> | <folder> | several, with commas   SIZE=mini|default|full\n  TASK=segment|enhance|synthesise|fuse  ALGORITHM=<names>  THROUGH=<names>  REFERENCE=<folder>\n  ENGINE=auto|docker|podman|apptainer|process  API=invoke|exec  SPACING=z,y,x (um)  RUN=<name>  MODEL=<name or card>\n  Of files with several: CHANNEL_INDEX=<number or name>  FRAME=<number>  SCENE=<number>; RECURSIVE=1 (sub-folders too)\n  MIN_OBJECT_VOXELS=<n> (smaller true objects of a folder are ignored)\n  MEMORY=<GiB>  TIMEOUT=<s>  RETRY=1 (run failed cases again)  KEEP_GOING=1 (run all, also if the first fail alike)\n  ALGORITHM=<image:tag or .tar.gz> of others: SOCKETS=<file.toml>  INPUT_FORMAT=tif|mha  MODEL=<tarball>\n  BLIND=1 (a second report, without the truth)\n  CLUSTER=local|slurm|tcp://host:port  SITE=<file.toml> (settings of the workers; both also of simulate)\n  VERIFY=1 (read all finished results again)\n  WIDE=1 (all columns of the table; also of list)\nVariables of segment and apply: IMAGES="a.tif folder"  OUT=<folder>  and those of a run\n  OVERWRITE=1 (replace also what was changed since it was written)\nVariables of train: NAME=<model>  SIMULATED=<dataset>  REAL=<folder>  DATA=<role>=<more data>\n  STEPS=<n> (0 only measures parameters)  FROM=<card>  SETTINGS=<file>  AUTHORS=<names>\nVariables for challenges: FILE="dist/a.tar.gz ..."  PROFILE=gc-t4-16gb  MODELS=inside|apart\n  API=invoke|exec (the interface that the image serves)\n  RUN=<run> (of build-evaluation: judge its outputs as the platform would; ENGINE=process does it without a container)\nVariables of compare: RUN=<run>  WITH=<the run before>  METRICS=<names>  THRESHOLDS=<file.toml>  MARKDOWN=<file>  BADGE=<file.svg>\nVariables of simulated data: SEED=0  CASES=<n>  SET=camera.photons=5,...  OUT=<new folder>\n  FRAMES=<n> (time series in the layout of the Cell Tracking Challenge; of nuclei)\nVariables of torch and containers: DEVICE=cpu|cuda (CUDA=1 is DEVICE=cuda)  BASE_IMAGE=<image with Python 3.11>\n  SIF=<folder with images for ENGINE=apptainer>\nVariable of build-all and build-<algorithm>: DRY_RUN=1 (only say what would be built, and check it)\nVariables of fuzz: MINUTES=10  SEED=0 (another one makes other files)\nVariable of the virtual environment: PYTHON=python3\n'

benchmark: .venv/.cytosuite $(NETWORKS) $(WORKERS) ## Generate or read DATASET, run the algorithms, score them, write a report.
	@$(BIN)/cytosuite benchmark "$(or $(DATASET),spheroid)" $(call given,benchmark)

segment: .venv/.cytosuite $(NETWORKS) ## Segment the images IMAGES (files or folders) into the folder OUT.
	@$(BIN)/cytosuite segment $(IMAGES) --out "$(or $(OUT),segmented)" $(call given,segment,OUT)

apply: .venv/.cytosuite $(NETWORKS) ## Run ALGORITHM, of any task, on IMAGES into the folder OUT.
	@$(BIN)/cytosuite apply $(IMAGES) --out "$(or $(OUT),applied)" $(call given,apply,OUT)

train: .venv/.cytosuite .venv/.networks-$(DEVICE) ## Train ALGORITHM on DATASET, or SIMULATED and REAL, as the model NAME.
	@$(BIN)/cytosuite train "$(ALGORITHM)" "$(or $(DATASET),$(SIMULATED))" $(call given,train,ALGORITHM) $(if $(REAL),--data "real=$(REAL)")

simulate: .venv/.cytosuite $(WORKERS) ## Simulate annotated images of DATASET into the new folder OUT.
	@$(BIN)/cytosuite simulate "$(or $(DATASET),spheroid)" $(call given,simulate)

list: .venv/.cytosuite ## List algorithms, models with their scores, datasets and recipes.
	@$(BIN)/cytosuite list $(call given,list)

##@ Challenges
new: .venv/.cytosuite ## Start the algorithm ALGORITHM for TASK: a folder that builds, runs and passes its checks.
	@$(BIN)/cytosuite new "$(ALGORITHM)" $(call given,new,ALGORITHM)

rehearse: .venv/.cytosuite ## Run ALGORITHM as a platform would, under the limits of PROFILE.
	@$(BIN)/cytosuite rehearse "$(ALGORITHM)" $(call given,rehearse,ALGORITHM) $(if $(DATASET),--dataset "$(DATASET)")

export: .venv/.cytosuite ## Write the files of ALGORITHM to upload: image, models, list of contents.
	@$(BIN)/cytosuite export "$(ALGORITHM)" $(call given,export,ALGORITHM)

preflight: .venv/.cytosuite ## Check FILE before its upload: image archive, tarball of models, folder of outputs.
	@$(BIN)/cytosuite preflight $(FILE) $(call given,preflight)

build-evaluation: .venv/.cytosuite ## Build the evaluation container and the ground truth of DATASET; rehearse it on RUN.
	@$(BIN)/cytosuite evaluation "$(or $(DATASET),spheroid)" $(if $(filter process,$(ENGINE)),,--image) $(call given,build-evaluation)

ctc: .venv/.cytosuite ## Write the results of the run RUN in the layout of the Cell Tracking Challenge.
	@$(BIN)/cytosuite ctc "$(RUN)" $(call given,ctc,RUN)

bundle: .venv/.networks-$(DEVICE) ## Write the models of ALGORITHM as MONAI bundles.
	@$(BIN)/cytosuite bundle "$(ALGORITHM)" $(call given,bundle,ALGORITHM)

##@ Scores
compare: .venv/.cytosuite ## Compare RUN with the run WITH, else the accepted scores of its data; code 1 at a regression.
	@$(BIN)/cytosuite compare "$(or $(WITH),--accepted)" "$(RUN)" $(call given,compare,RUN WITH)

tables: .venv/.cytosuite ## Write the tables of scores and models in README.md and weights/README.md anew.
	@$(BIN)/cytosuite tables

##@ Containers
build-all: .venv/.cytosuite ## Build the containers of all algorithms.
	@$(BIN)/cytosuite build $(call given,build)

build-%: .venv/.cytosuite ## Build the container of one algorithm.
	@$(BIN)/cytosuite build "$*" $(call given,build)

##@ Development
networks: .venv/.networks-$(DEVICE) ## Install torch and MONAI, which networks need outside of containers.

setup: .venv/.dev ## Make the virtual environment with everything for development.

peers: .venv/.dev ## Install the independent programs that agreement tests compare with (torch among them).
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev,peers]"

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

clean: ## Remove the virtual environment, caches and all runs.
	@rm -rf .venv runs docker/wheelhouse .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info

.venv/.python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"cytosuite needs Python 3.11 or newer, found {v[0]}.{v[1]}; try make PYTHON=python3.12")'
	@$(PYTHON) -m venv .venv && touch $@

.venv/.cytosuite: .venv/.python pyproject.toml
	@echo "setting up .venv (once)" && $(BIN)/python -m pip install --quiet --disable-pip-version-check -e . && touch $@

.venv/.networks-%: .venv/.cytosuite docker/requirements-%.txt
	@echo "installing torch and MONAI for $* (once)" && $(BIN)/python docker/wheelhouse.py --device "$*" --install && $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[networks]" && rm -f .venv/.networks-* && touch $@

.venv/.cluster: .venv/.cytosuite
	@echo "installing Dask (once)" && $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[cluster]" && touch $@

.venv/.dev: .venv/.networks-$(DEVICE)
	@echo "setting up .venv for development (once)" && $(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]" && touch $@
