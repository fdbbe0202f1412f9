"""The Makefile: variables that a goal does not take are refused, all others reach their command."""

import os
import re
import shlex
import subprocess
from runpy import run_path

import pytest
from house import ROOT

from cytosuite.benchmark.commands.maintain import GOALS, variables

OUTER = {"DEVICE", "BASE_IMAGE", "SIF", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL"}  # of `make test`
CHECKED = {"DEVICE": "cuda", "ENGINE": "docker"}
COMMANDS = {"bundle": "maintain bundle"}

TAKEN = run_path(ROOT / "docker/make.py")["taken"]


def _make(*words, **environment):
    return subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", *words],
        env={**{key: os.environ[key] for key in os.environ if key not in OUTER}, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def _flag(name):
    return name.lower().replace("_", "-")


@pytest.mark.parametrize(
    "line, words",
    {
        "make benchmark: no variable DATSET; the nearest is DATASET": ["benchmark", "DATSET=foo"],
        "no variable MEMORY; there are PYTHON CASES CLUSTER DATASET": ["simulate", "MEMORY=3"],
        "make build-watershed: no variable DEVCE; the nearest": ["build-watershed", "DEVCE=cpu"],
        "make help: no variable SIZE": ["SIZE=mini"],
        'make benchmark: expected BLIND=1 or 0, found "on"': ["benchmark", "BLIND=on"],
        "make build-all: no variable CUDA; it is now DEVICE=cuda": ["build-all", "CUDA=1"],
        'DEVICE must be cpu or cuda, found "gpu"': ["train", "DEVICE=gpu"],
    }.items(),
)
def test_a_variable_that_no_goal_takes_is_refused(words, line):
    done = _make(*words)
    assert done.returncode == 2
    (error,) = done.stderr.splitlines()
    assert line in error
    assert done.stdout == ""


def test_the_variables_of_all_wanted_goals_are_taken_and_others_of_the_environment_left_alone():
    words = ("-n", "simulate", "benchmark", "OUT=a", "ENGINE=docker", "SIZE=mini")
    done = _make(*words, DATSET="foo", MEMORY="3", BLIND="of another program", CUDA="/usr/cuda")
    assert "expected BLIND=1 or 0" in done.stderr
    done = _make(*words, DATSET="foo", MEMORY="3", CUDA="/usr/cuda")
    assert done.returncode == 0, done.stderr
    assert "No rule to make target 'bencmark'" in _make("bencmark", "DATASET=x").stderr
    simulate, benchmark = [line for line in done.stdout.splitlines() if "/cytosuite " in line]
    assert simulate.endswith('simulate "spheroid" --out a --size mini')
    assert 'benchmark "spheroid" --engine docker --memory 3 --size mini' in benchmark


@pytest.mark.parametrize("goal", GOALS)
def test_every_variable_reaches_the_command(goal):
    taken = variables(goal)
    values = {
        variable.name: f"value-of-{variable.name}"
        for variable in taken
        if (goal, variable.name) != ("build", "ALGORITHM")  # the name of the goal
    }
    values |= {variable.name: "1" for variable in taken if variable.kind == "switch"}
    values |= {name: value for name, value in CHECKED.items() if name in values}
    words = [f"{name}={value}" for name, value in values.items()]
    shown = _make("-n", "build-watershed" if goal == "build" else goal, *words).stdout
    start = f".venv/bin/cytosuite {COMMANDS.get(goal, goal)} "
    (line,) = [line for line in shown.splitlines() if line.startswith(start)]
    for variable in taken:
        if variable.kind == "switch":
            assert f" --{_flag(variable.name)}" in line
        elif variable.kind == "flag":
            assert f"--{_flag(variable.name)} {values[variable.name]}" in line, variable
        elif variable.name in values and variable.name not in {"DEVICE", "BASE_IMAGE", "SIF"}:
            assert re.search(rf"(=|\b){values[variable.name]}\b", line), variable


def test_a_switch_can_be_off():
    for word in ("0", "no", ""):
        switches = [
            variable.name for variable in variables("benchmark") if variable.kind == "switch"
        ]
        done = _make("-n", "benchmark", "ENGINE=docker", *(f"{name}={word}" for name in switches))
        assert done.returncode == 0, done.stderr
        assert [name for name in switches if f"--{_flag(name)}" in done.stdout] == []


@pytest.mark.parametrize(
    "value", ["a b", "it's", "a (1);x", 'say "a"', "a*&|<", "back\\\\slash", "$HOME"]
)
def test_a_value_is_one_word_whatever_is_in_it(value):
    line = _make("-n", "train", f"NAME={value.replace('$', '$$')}").stdout.splitlines()[-1]
    assert shlex.split(line)[4:6] == ["--name", value]


def test_words_that_a_recipe_places():
    line = _make("-n", "train", "ALGORITHM=a", "DATASET=b", "REAL=c d", "NAME=m").stdout
    assert '/cytosuite train "a" "b" --name m --data "real=c d"' in line
    line = _make("-n", "ctc", "RUN=runs/x", "ALGORITHM=a", "OUT=o").stdout
    assert '/cytosuite export a --ctc "runs/x" --out o' in line
    assert ' compare "--accepted" "x"' in _make("-n", "compare", "RUN=x").stdout
    assert ' compare "y" "x"' in _make("-n", "compare", "RUN=x", "WITH=y").stdout
    assert "--image" in _make("-n", "build-evaluation").stdout
    assert "--image" not in _make("-n", "build-evaluation", "ENGINE=process").stdout


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_device_decides_the_torch_of_a_training(device):
    for engine in ("docker", "podman"):  # containers need no torch here
        assert "networks" not in _make("-n", "benchmark", f"ENGINE={engine}").stdout
    done = _make("-n", "train", "ALGORITHM=a", "DATASET=b", "NAME=c", f"DEVICE={device}")
    if (ROOT / f".venv/.networks-{device}").exists():
        pytest.skip("it is installed already")
    assert f"docker/install.py --device {device} networks" in done.stdout


def test_device_and_images_reach_the_environment():
    words = ("--eval", "show: ; @echo $(DEVICE) $$DEVICE $$SIF", "show")
    assert _make(*words, "SIF=/a").stdout == "cpu cpu /a\n"
    assert _make(*words, CUDA="1", DEVICE="cuda").stdout == "cuda cuda\n"
    assert _make(*words, "DEVICE=cuda", DEVICE="cpu").stdout == "cuda cuda\n"


@pytest.mark.parametrize("failing", ["none", "plain", "attacks", "others"])
def test_tests_beside_each_other_fail_together_and_are_shown_one_after_another(tmp_path, failing):
    fake = tmp_path / "pytest"
    fake.write_text(
        '#!/bin/sh\ncase "$*" in *"not docker"*) sleep 0.2; part=plain ;; *tests/hostile/*) part=attacks ;;'
        " *) part=others ;; esac\necho $part\n[ $part != $FAILING ]\n"
    )
    fake.chmod(0o755)
    done = _make(
        "--eval", f"override PYTEST := {fake}", "-o", ".venv/.dev", "test", FAILING=failing
    )
    assert (done.returncode != 0) == (failing != "none")
    assert done.stdout.split()[:3] == ["plain", "attacks", "others"]


def _listed(shown):
    """Return the first words of lines that are no goals."""
    return set(re.findall(r"(?m)^([A-Z_]+) +\S", shown))


def test_the_help_lists_goals_alone_and_of_a_goal_its_variables():
    shown = _make().stdout
    assert "make help GOAL" in shown
    assert _listed(shown) == set()
    for goal in GOALS:
        taken = {
            variable.name for variable in TAKEN("build-watershed" if goal == "build" else goal)
        }
        assert taken - {variable.name for variable in variables(goal)} <= {"DEVICE"}
    done = _make("help", "build-watershed")
    assert {"PYTHON", "DEVICE"} < _listed(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"(?m)^OUT .*apply: `applied`", _make("help", "apply").stdout)
    assert _listed(_make("help", "ctc").stdout) >= {"RUN", "SERIES", "TRUE_LABELS"}
    assert "make help: no goal bencmark" in _make("help", "bencmark").stderr


def test_all_containers_are_those_of_the_named_algorithms():
    shown = [_make("-n", "build-all", *words).stdout for words in ([], ["ALGORITHM=all"])]
    words = [re.search("/cytosuite build ?(.*)", text)[1].strip() for text in shown]
    assert words == ["", "all"]
