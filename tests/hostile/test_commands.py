"""Commands that are stopped at any moment: one line, nothing half-written, and the next one goes on."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import house
import numpy as np
import pytest

from cytosuite.formats import write
from cytosuite.volume import Volume
from tests.hostile.tally import digests, left

pytestmark = pytest.mark.slow

SMALL = "image.shape=[16, 64, 64] image.spacing_um=[2, 0.5, 0.5] tissue.n_nuclei=4"
STEPS = 150  # so many that a busy machine stops it before its end
SETTINGS = f"""
[network]
widths = [4, 8, 8]
[schedule]
steps = {STEPS}
report = 1
checkpoint = 10
[patches]
shape = [16, 32, 32]
batch = 1
"""
TIMES = {"a.json", "b.json", ".stamps"}  # with seconds, or the times of files
STOPS = (  # signal, whether the whole group gets it, exit code, lines
    (signal.SIGINT, True, 130, 1),  # Ctrl-C
    (signal.SIGTERM, False, 130, 1),
    (signal.SIGKILL, False, -9, 0),
)
START_S = 0.5  # of Python, in which nobody catches a signal


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Return a checkout with a network that can be trained, and images to work on."""
    folder = house.build(tmp_path_factory.mktemp("commands") / "house", datasets=["toy_cells"])
    for room in ("algorithms", "weights"):
        shutil.copytree(house.ROOT / room / "cellpose3d", folder / room / "cellpose3d")
    z, y, x = np.ogrid[:16, :40, :40]
    rng = np.random.default_rng(0)
    for name, middle in (("a", 12), ("b", 25)):
        ball = (z - 8) ** 2 * 4 + (y - 20) ** 2 + (x - middle) ** 2 < 120
        for kind, array in (("images", rng.poisson(20, ball.shape) + 200 * ball), ("labels", ball)):
            volume = Volume(array.astype(np.uint16), (1.0, 0.5, 0.5), "ZYX")
            write(folder / "own" / kind / f"{name}.tif", volume)
    (folder / "train.toml").write_text(SETTINGS)
    return folder


def _simulate(place):
    words = ["simulate", "spheroid", "--size", "mini", "--cases", "3", "--set", SMALL]
    return [*words, "--workers", "2", "--runs", place / "runs", "--out", place / "out"]


def _segment(place):
    return ["segment", "own", "--algorithm", "watershed", "--engine", "process", "--out", place]


def _phantoms(place):
    return ["phantoms", "--drawn", "4", "--spacing", "1,0.5,0.5", "--out", place / "out"]


def _calibrate(place):
    out = place / "fitted.toml"
    return ["calibrate", "spheroid", "own", "--rounds", "1", "--cases", "1", "--out", out]


def _score(place):
    out = ("--csv", place / "scores.csv", "--json", place / "scores.json")
    return ["score", "--truth", "own/labels", "--prediction", "own/labels", *out]


COMMANDS = [
    _segment,
    *(
        pytest.param(command, marks=pytest.mark.long)
        for command in (_simulate, _phantoms, _calibrate, _score)
    ),
]


def _start(home, words, stdout=subprocess.DEVNULL):
    return subprocess.Popen(
        [sys.executable, "-m", "cytosuite.benchmark", *map(str, words)],
        cwd=home,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def _ended(home, words):
    """Return exit code and stderr of a command that nobody disturbs."""
    process = _start(home, words)
    errors = process.communicate(timeout=1800)[1]
    return process.returncode, errors


def _stopped(process, number, group):
    """Return stderr of a command that is stopped."""
    (os.killpg if group else os.kill)(process.pid, number)
    return process.communicate(timeout=1800)[1]


@pytest.mark.parametrize("command", COMMANDS)
def test_stopped_at_any_moment_it_is_one_line_and_the_next_one_ends_as_undisturbed(
    home, tmp_path, command
):
    whole = tmp_path / "whole"
    place = tmp_path / "place"
    began = time.monotonic()
    assert _ended(home, command(whole)) == (0, "")
    seconds = time.monotonic() - began
    instants = random.Random(command.__name__)
    for number, group, code, lines in STOPS:
        process = _start(home, command(place))
        time.sleep(instants.uniform(START_S, max(0.8 * seconds, START_S)))
        errors = _stopped(process, number, group)
        if process.returncode in {0, 2}:  # it was faster; a second time the folder is full
            break
        if (process.returncode, errors) == (-number, "") and digests(place, TIMES) == digests(
            whole, TIMES
        ):
            break  # all was done: Python itself was ending, in which nobody catches a signal
        # Python itself ends by the signal where it came in the middle of an exec(): 130 to a shell.
        ended = code if process.returncode == -signal.SIGINT else process.returncode
        assert (ended, errors.count("\n")) == (code, lines), errors
        assert number == signal.SIGKILL or not left(tmp_path)
    code, errors = _ended(home, command(place))
    assert code == 0 or "the folder is not empty" in errors
    assert digests(place, TIMES) == digests(whole, TIMES)
    assert not left(tmp_path)


def _train(name):
    return ["train", "cellpose3d", "own", "--name", name, "--settings", "train.toml"]


@pytest.mark.long
def test_a_training_stopped_at_any_moment_ends_with_the_weights_of_an_undisturbed_one(home):
    weights = home / "weights/cellpose3d"
    assert _ended(home, _train("whole"))[0] == 0
    for number, group, code, lines in STOPS:
        process = _start(home, _train("stopped"), stdout=subprocess.PIPE)
        for line in process.stdout:
            if line.startswith("step "):
                break
        errors = _stopped(process, number, group)
        assert (process.returncode, errors.count("\n")) == (code, lines), errors
        assert code != 130 or "the same command goes on from there" in errors
    assert not list(weights.glob("stopped*"))
    assert _ended(home, _train("stopped"))[0] == 0
    names = [f"{name}.safetensors" for name in ("whole", "stopped")]
    assert len({(weights / name).read_bytes() for name in names}) == 1
    assert not left(home)


def _toys(place):
    words = ["simulate", "toy_cells", "--size", "mini", "--cases", "3", "--workers", "2"]
    return [*words, "--runs", place / "runs", "--out", place / "out"]


@pytest.mark.parametrize("command", [lambda _: ["list"], _toys], ids=["list", "simulate"])
def test_a_pipe_that_nobody_reads_ends_a_command_without_a_word(home, tmp_path, command):
    read, write = os.pipe()
    os.close(read)
    process = _start(home, command(tmp_path), stdout=write)
    os.close(write)
    assert process.communicate(timeout=1800) == (None, "")
    assert process.returncode == 141
    assert not left(tmp_path)
