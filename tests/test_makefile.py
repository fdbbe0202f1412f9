"""The Makefile: variables that a goal does not take are refused, all others reach their command."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import typer

from cytosuite.benchmark.commands.app import app

ROOT = Path(__file__).resolve().parents[1]
GOALS = (
    *("benchmark", "segment", "apply", "train", "simulate"),
    *(
        "new",
        "rehearse",
        "export",
        "preflight",
        "bundle",
        "ctc",
        "compare",
        "list",
        "build-evaluation",
        "build",
    ),
)
# They reach the command as arguments, as words of its environment or as a flag.
PLACED = {"DATASET", "IMAGES", "FILE", "DEVICE", "BASE_IMAGE", "SIF", "WITH"}
READ = {"SIF"}  # from the environment, without an option
ROLES = {"SIMULATED", "REAL"}  # of the data of a training: other names for its data
SWITCHES = {"RETRY", "RECURSIVE", "KEEP_GOING", "BLIND", "DRY_RUN", "VERIFY", "WIDE", "OVERWRITE"}
OUTER = {"DEVICE", "BASE_IMAGE", "SIF", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL"}  # of `make test`
CHECKED = {"DEVICE": "cuda", "ENGINE": "docker"}


def _make(*words, **environment):
    return subprocess.run(
        ["make", "-C", str(ROOT), "--no-print-directory", *words],
        env={**{key: os.environ[key] for key in os.environ if key not in OUTER}, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _command(goal):
    """Return the command that a goal runs."""
    return "evaluation" if goal == "build-evaluation" else goal


def _flag(name):
    return name.lower().replace("_", "-")


def _takes(goal):
    """Return the variables of a goal."""
    shown = _make("--eval", f"show: ; @echo $({goal}_takes)", "show")
    assert shown.returncode == 0, shown.stderr
    return shown.stdout.split()


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["benchmark", "DATSET=foo"], "make benchmark: no variable DATSET; the nearest is DATASET"),
        (["benchmark", "dataset=foo"], "no variable dataset; the nearest is DATASET"),
        (["simulate", "MEMORY=3"], "no variable MEMORY; there are PYTHON DATASET OUT SIZE"),
        (
            ["build-watershed", "DEVCE=cpu"],
            "make build-watershed: no variable DEVCE; the nearest is",
        ),
        (["lint", "SIZE=mini"], "make lint: no variable SIZE"),
        (["SIZE=mini"], "make help: no variable SIZE"),
        (["benchmark", "BLIND=on"], 'make benchmark: expected BLIND=1 or 0, found "on"'),
        (["build-all", "CUDA=2"], 'make build-all: expected CUDA=1 or 0, found "2"'),
        (["train", "DEVICE=gpu"], 'DEVICE must be cpu or cuda, found "gpu"'),
    ],
)
def test_a_variable_that_no_goal_takes_is_refused(words, line):
    done = _make(*words)
    assert done.returncode == 2
    (found,) = done.stderr.splitlines()
    assert line in found
    assert done.stdout == ""


def test_the_variables_of_all_wanted_goals_are_taken():
    done = _make("-n", "simulate", "benchmark", "OUT=a", "ENGINE=docker", "SIZE=mini")
    assert done.returncode == 0, done.stderr
    assert 'simulate "spheroid" --out "a" --size "mini"' in done.stdout
    assert 'benchmark "spheroid" --size "mini" --engine "docker"' in done.stdout


def test_words_of_the_environment_are_left_alone():
    done = _make("-n", "simulate", "SIZE=mini", DATSET="foo", MEMORY="3", NONSENSE="1")
    assert done.returncode == 0, done.stderr
    assert "MEMORY" not in done.stdout
    assert "--memory" not in done.stdout


def test_an_unknown_goal_is_named_first():
    assert "No rule to make target 'bencmark'" in _make("bencmark", "DATASET=x").stderr


@pytest.mark.parametrize("goal", GOALS)
def test_every_variable_is_an_option_of_the_command(goal):
    command = typer.main.get_command(app).commands[_command(goal)]
    flags = {flag for parameter in command.params for flag in parameter.opts}
    environment = {str(parameter.envvar) for parameter in command.params}
    for name in set(_takes(goal)) - ROLES:
        flag = f"--{_flag(name)}"
        word = {"FILE": "files", "ALGORITHM": "name", "RUN": "runs", "WITH": "runs"}.get(
            name, name
        )  # of an argument
        assert {flag, name.lower(), word} & flags or name in environment | READ, name


@pytest.mark.parametrize("goal", GOALS[:-1])
def test_every_variable_reaches_the_command(goal):
    values = {name: f"value-of-{name}" for name in _takes(goal) if name not in ROLES}
    values |= dict.fromkeys(SWITCHES & set(values), "1")
    values |= {name: value for name, value in CHECKED.items() if name in values}
    given = [f"{name}={value}" for name, value in values.items()]
    (line,) = [
        line
        for line in _make("-n", goal, *given).stdout.splitlines()
        if line.startswith(f".venv/bin/cytosuite {_command(goal)}")
    ]
    for name, value in values.items():
        if name in SWITCHES:
            assert f" --{_flag(name)}" in line
        elif name not in {"DEVICE", "BASE_IMAGE", *READ}:
            flag = "" if name in PLACED or f'"{value}" ' in line else f"--{_flag(name)} "
            assert re.search(rf'{flag}"?{value}"?', line), name


@pytest.mark.parametrize("word", ["0", "no", ""])
def test_a_switch_can_be_off(word):
    for goal, names in {
        "benchmark": SWITCHES - {"DRY_RUN", "OVERWRITE"},
        "build-all": {"DRY_RUN"},
        "segment": {"OVERWRITE"},
    }.items():
        done = _make("-n", goal, "ENGINE=docker", *(f"{name}={word}" for name in names))
        assert done.returncode == 0, done.stderr
        assert [name for name in names if f"--{_flag(name)}" in done.stdout] == []
    assert _make("-n", "list", BLIND="of another program").returncode == 0


def test_the_data_of_a_training_may_be_named_by_their_roles():
    done = _make("-n", "train", "ALGORITHM=a", "SIMULATED=b", "REAL=c d", "NAME=m", "STEPS=0")
    (line,) = [line for line in done.stdout.splitlines() if " train " in line]
    assert '/cytosuite train "a" "b" ' in line
    assert '--data "real=c d"' in line
    assert '--steps "0"' in line
    assert "--simulated" not in line
    assert "--real" not in line


def test_the_first_data_of_a_training_have_one_name():
    done = _make("-n", "train", "ALGORITHM=a", "DATASET=b", "SIMULATED=c", "NAME=m")
    assert "make train: DATASET and SIMULATED mean the same, give one of them" in done.stderr
    assert done.returncode == 2
    others = _make("-n", "simulate", "DATASET=b", SIMULATED="c", REAL="d")
    assert others.returncode == 0, others.stderr


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_device_decides_the_torch_of_a_training(device):
    done = _make("-n", "train", "ALGORITHM=a", "DATASET=b", "NAME=c", f"DEVICE={device}")
    if (ROOT / ".venv" / f".networks-{device}").exists():
        pytest.skip("it is installed already")
    assert f'docker/wheelhouse.py --device "{device}" --install' in done.stdout


@pytest.mark.parametrize("goal", ["build-all", "build-cellpose3d", "benchmark", "train"])
@pytest.mark.parametrize(
    ("words", "device"),
    [
        ([], "cpu"),
        (["CUDA=1"], "cuda"),
        (["CUDA=1", "DEVICE=cuda"], "cuda"),
        (["CUDA=0"], "cpu"),
        (["CUDA=no"], "cpu"),
        (["CUDA=0", "DEVICE=cuda"], "cuda"),
    ],
)
def test_cuda_is_another_word_for_the_device(goal, words, device):
    planned = _make("-n", goal, *words)
    assert planned.returncode == 0, planned.stderr
    assert "--cuda" not in planned.stdout
    assert _devices(*words) == [device, device]


def _devices(*words, **environment):
    """Return the device as make and as its commands see it."""
    return _make(
        "--eval", "show: ; @echo $(DEVICE) $$DEVICE", "show", *words, **environment
    ).stdout.split()


def test_a_variable_cuda_of_the_system_is_no_device():
    assert _devices(CUDA="/usr/local/cuda") == ["cpu", "cpu"]
    assert _devices(CUDA="1", DEVICE="cuda") == ["cuda", "cuda"]


def test_the_folder_of_images_for_apptainer_reaches_the_environment():
    shown = _make("--eval", "show: ; @echo $$SIF", "show", "SIF=/shared/sif")
    assert shown.stdout == "/shared/sif\n"
    assert "SIF" not in _make("-n", "benchmark", "ENGINE=apptainer", "SIF=a").stderr


def test_the_command_line_has_the_last_word_on_the_device():
    assert _devices("CUDA=1", DEVICE="cpu") == ["cuda", "cuda"]
    assert _devices("CUDA=0", DEVICE="cuda") == ["cuda", "cuda"]


def test_two_devices_are_refused():
    done = _make("-n", "build-all", "CUDA=1", "DEVICE=cpu")
    assert done.returncode == 2
    assert "CUDA=1 means DEVICE=cuda, found DEVICE=cpu too; give one of them" in done.stderr
    assert "make list: no variable CUDA" in _make("-n", "list", "CUDA=1").stderr


def test_a_dry_run_reaches_every_build():
    for goal in ("build-all", "build-watershed"):
        assert " --dry-run" in _make("-n", goal, "DRY_RUN=1").stdout
        assert "--dry-run" not in _make("-n", goal).stdout


def test_containers_need_no_torch_here():
    for engine in ("docker", "podman"):
        assert "wheelhouse" not in _make("-n", "benchmark", f"ENGINE={engine}").stdout


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (0, 1)])
def test_tests_beside_each_other_fail_together_and_are_shown_one_after_another(
    tmp_path, first, second
):
    fake = tmp_path / "pytest"
    fake.write_text(
        '#!/bin/sh\ncase "$*" in *"not docker"*) sleep 0.2; echo plain; exit $FIRST ;; esac\n'
        "echo contained\nexit $SECOND\n"
    )
    fake.chmod(0o755)
    words = ("--eval", f"override PYTEST := {fake}", "-o", ".venv/.dev", "test")
    done = _make(*words, FIRST=str(first), SECOND=str(second))
    assert (done.returncode != 0) == (first + second > 0)
    assert done.stdout.split()[:2] == ["plain", "contained"]


def test_the_help_names_every_variable():
    shown = _make("help").stdout
    names = {name for goal in GOALS for name in _takes(goal)}
    assert {name for name in names if not re.search(rf"\b{name}\b", shown)} == set()
