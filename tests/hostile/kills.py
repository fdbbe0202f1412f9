"""Disturb commands at random instants, run them again, and hold the end against an undisturbed one.

They are killed, started twice, their files may not grow, or get other times.
"""

import os
import shutil
import signal
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy import ndimage

from cytosuite.formats import write
from cytosuite.volume import Volume
from tests import forks, house
from tests.hostile.tally import campaign, differing, digests, facts_of, in_order, left

NETWORK = "u2net"
TRAINER = "cytosuite.training.command:main"
SETTINGS = """
width = 2
network = { channels = 4, middle = 2 }
[schedule]
steps = 6
checkpoint = 2
report = 2
[patches]
shape = [1, 64, 64]
batch = 1
diameter = 12.0
[validation]
every = 3
metric = "SEG"
cases = 0.5
share = 1
"""
WHOLE = ("the folder is not empty", "a model of this name exists")  # it was killed after its end
DAY_S = 86400
PATIENCE_S = 60.0  # until the last process of a killed command has ended


def checkout(folder):
    """Return a checkout with a toy algorithm and dataset, and a network, without its models."""
    house.build(folder, algorithms=["toy_limit"], datasets=["toy_cells"])
    place = folder / "algorithms" / NETWORK
    shutil.copytree(house.ROOT / "algorithms" / NETWORK, place, ignore=house.passing)
    return folder


def annotated(folder):
    """Write small planes of round nuclei with their labels, and return the folder."""
    y, x = np.indices((32, 32))
    for number in range(4):
        rng = np.random.default_rng(number)
        labels = np.zeros((32, 32), np.uint16)
        for label, (centre, across) in enumerate(rng.uniform(5, 27, (3, 2)), 1):
            labels[(y - centre) ** 2 + (x - across) ** 2 < 20] = label
        light = ndimage.gaussian_filter(200.0 * (labels > 0), 1) + rng.normal(50, 5, labels.shape)
        for room, array in (("images", light.astype(np.float32)), ("labels", labels)):
            write(folder / room / f"p{number}.tif", Volume(array, (1.0, 1.0), "YX"))
    return folder


class Place:
    """A house, its data, and a program in it that starts commands."""

    def __init__(self, folder):
        self.folder, self.home = folder, checkout(folder / "house")
        self.runs = forks.Runs(self.home)
        self.data = annotated(folder / "planes")
        self.settings = folder / "tiny.toml"
        self.settings.write_text(SETTINGS)

    def run(self, *words, **more):
        """Run a command to its end; return exit code and text."""
        return self.runs.end(self.runs.command(*words, **more))


class Command:
    """A command that is disturbed; `words` to begin it in a folder, `state` that it leaves there."""

    program = ""

    def __init__(self, place):
        self.place = place


class Simulate(Command):
    """Cases of a toy dataset, laid out in a folder of their own."""

    def words(self, home):
        options = ["--size", "mini", "--cases", 6, "--workers", 2]
        return ["simulate", "toy_cells", *options, "--runs", home / "runs", "--out", home / "out"]

    def state(self, home):
        return digests(home)


class Benchmark(Command):
    """A run of two algorithms."""

    def words(self, home):
        options = ["--size", "mini", "--runs", home, "--run", "run", "--engine", "process"]
        return ["benchmark", "toy_cells", *options, "--algorithm", "toy_limit,watershed"]

    def state(self, home):
        images = {
            name: digest
            for name, digest in digests(home).items()
            if "/output/" in name or "/sockets/" in name or name.endswith("objects.csv")
        }
        return {**images, **forks.scores(home)}


class Report(Command):
    """A report over a run that is there."""

    def __init__(self, place):
        self.source = place.folder / "source"
        in_order(*place.run(*Benchmark(place).words(self.source)), fine=(0,))

    def words(self, home):
        return ["report", self.source / "run", "--out", home / "run"]

    def state(self, home):
        assert (home / "run/report/index.html").is_file(), "no report"
        whole = digests(self.source)
        return {
            **forks.scores(home),
            **{name: whole[name] for name in whole if "stamps" not in name},
        }


class Install(Command):
    """A model that was packed, into the folder of one's own."""

    def __init__(self, place):
        self.place = place
        self.file = place.folder / "theirs.zip"
        in_order(*place.run("model", "pack", "watershed:nuclei-2d", "--out", self.file), fine=(0,))

    def words(self, home):
        return ["model", "install", self.file, "--name", f"theirs-{home.name}"]

    def state(self, home):
        name = f"theirs-{home.name}"
        sums = digests(self.place.home / "weights")
        card = facts_of(self.place.home / f"weights/watershed/{name}.json")
        return {key: digest for key, digest in sums.items() if "theirs-" not in key} | card


class Train(Command):
    """A training of a few steps, by the command that starts the trainer."""

    def words(self, home):
        options = ["--name", f"m-{home.name}", "--settings", self.place.settings]
        return ["train", NETWORK, self.place.data, *options]

    def state(self, home):
        name = f"m-{home.name}"
        home = self.place.home
        card = facts_of(home / "weights" / NETWORK / f"{name}.json")
        rows = (home / "runs/training" / NETWORK / name / "validation.csv").read_text()
        return {**card, "validation": rows}


class Trainer(Train):
    """The trainer alone, in which all steps are."""

    program = TRAINER

    def words(self, home):
        name = f"m-{home.name}"
        root = self.place.home
        options = ["--data", self.place.data, "--settings", self.place.settings, "--name", name]
        work = root / "runs/training" / NETWORK / name
        return [NETWORK, *options, "--out", root / "weights" / NETWORK, "--work", work]


COMMANDS = {
    "simulate": Simulate,
    "benchmark": Benchmark,
    "report": Report,
    "model install": Install,
    "train": Train,
    "trainer": Trainer,
}


def again(place, kind, home):
    """Run a command once more, and wait for what is left of the one that was killed."""
    end = time.monotonic() + PATIENCE_S
    while True:
        code, text = place.run(*kind.words(home), program=kind.program)
        if code != 2 or "running" not in text or time.monotonic() > end:
            return code, text
        time.sleep(0.2)


def finished(code, text):
    """Hold a command to its good end, or to the refusal of what it had done before it was killed."""
    whole = code == 2 and any(word in text for word in WHOLE)
    in_order(code, text, fine=(2,) if whole else (0,))


def kill(place, start, seconds, rng):
    """Kill it with SIGKILL."""
    process = start()
    forks.wait(process, rng.uniform(0.02, seconds))
    os.kill(process, signal.SIGKILL)
    assert "Traceback" not in (text := place.runs.end(process)[1]), text[-1000:]


def alter_times(place, start, seconds, rng):
    """Kill it, and set the times of all files into the future or the past."""
    kill(place, start, seconds, rng)
    moment = time.time() + rng.choice((-20_000, -400, -1, 1, 400, 20_000)) * DAY_S
    for path in (*place.folder.glob("try*/**/*"), *place.home.glob("runs/**/*")):
        os.utime(path, (moment, moment), follow_symlinks=False)


def shorten(place, start, seconds, rng):
    """Forbid files longer than some bytes (RLIMIT_FSIZE), as a quota does."""
    most = max(path.stat().st_size for path in place.folder.rglob("*.*") if path.is_file())
    limits = {"RLIMIT_FSIZE": int(np.exp(rng.uniform(np.log(2000), np.log(most))))}
    in_order(*place.runs.end(start(limits=limits)), fine=(0, 1, 2))


def start_twice(place, start, seconds, rng):
    """Start it twice, some moments apart."""
    logs = [place.folder / f"log{turn}" for turn in range(2)]
    begun = []
    for log in logs:
        begun.append(start(log=log))
        time.sleep(rng.choice((0, 0.01, 0.3, 1)))
    ends = [place.runs.end(*both) for both in zip(begun, logs, strict=True)]
    for code, text in ends:
        in_order(code, text)
    assert 0 in {code for code, _ in ends}, ends


def attack(kind, disturb, tally, options):
    """Disturb a command at random instants, each in a folder of its own, and run it again."""
    rng = np.random.default_rng(options.seed)
    with TemporaryDirectory(prefix="kills-") as folder:
        place = Place(Path(folder))
        command = COMMANDS[kind](place)
        place.run(*command.words(place.folder / "warm"), program=command.program)
        begun = time.monotonic()
        quiet = place.folder / "quiet"
        in_order(*place.run(*command.words(quiet), program=command.program), fine=(0,))
        seconds = time.monotonic() - begun
        expected = command.state(quiet)
        for number in range(options.tries):
            (home := place.folder / f"try{number}").mkdir()
            start = partial(place.runs.command, *command.words(home), program=command.program)
            with tally.attempt(f"{disturb.__name__} {kind}"):
                disturb(place, start, seconds, rng)
                finished(*again(place, command, home))
                after = command.state(home)
                over = left(home, *(place.home / room for room in ("weights", "runs")))
                assert (after == expected, over) == (True, []), (
                    f"{differing(after, expected)} {over}"
                )
        place.runs.base.communicate()


KINDS = {
    f"{disturb.__name__} {kind}": partial(attack, kind, disturb)
    for disturb in (kill, alter_times, shorten, start_twice)
    for kind in COMMANDS
}

if __name__ == "__main__":
    campaign("kills", KINDS, __doc__)
