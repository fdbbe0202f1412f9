"""Kill commands at random instants with SIGKILL, run them again, and hold the end against an undisturbed one."""

import os
import shutil
import signal
import time
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
PATIENCE_S = 60.0  # until the last process of a killed command has ended


def checkout(folder):
    """Return a checkout with a toy algorithm and dataset, and a network, without its models."""
    house.build(folder, algorithms=["toy_threshold"], datasets=["toy_cells"])
    place = folder / "algorithms" / NETWORK
    shutil.copytree(house.ROOT / "algorithms" / NETWORK, place, ignore=house.passing)
    return folder


def annotated(folder, count=4):
    """Write small planes of round nuclei with their labels, and return the folder."""
    y, x = np.indices((32, 32))
    for number in range(count):
        rng, labels = np.random.default_rng(number), np.zeros((32, 32), np.uint16)
        for label, (centre, across) in enumerate(rng.uniform(5, 27, (3, 2)), start=1):
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

    def killed(self, seconds, *words, **more):
        """Kill a command after some seconds; return its exit code and its text."""
        process = self.runs.command(*words, **more)
        forks.wait(process, seconds)
        os.kill(process, signal.SIGKILL)
        return self.runs.end(process)


class Simulate:
    """Cases of a toy dataset, laid out in a folder of their own."""

    def __init__(self, place, workers=2):
        self.place, self.workers = place, workers

    def words(self, home):
        given = ["--size", "mini", "--cases", 6, "--workers", self.workers]
        return ["simulate", "toy_cells", *given, "--runs", home / "runs", "--out", home / "out"]

    def state(self, home):
        return digests(home)


class Benchmark:
    """A run of two algorithms."""

    def __init__(self, place):
        self.place = place

    def words(self, home):
        given = ["--size", "mini", "--runs", home, "--run", "run", "--engine", "process"]
        return ["benchmark", "toy_cells", *given, "--algorithm", "toy_threshold,watershed"]

    def state(self, home):
        images = {
            name: digest
            for name, digest in digests(home).items()
            if "/output/" in name or "/sockets/" in name or name.endswith("objects.csv")
        }
        return {**images, **forks.scores(home)}


class Report:
    """A report over a run that is there."""

    def __init__(self, place):
        self.place = place
        self.before = Benchmark(place)
        self.source = place.folder / "source"
        in_order(*place.run(*self.before.words(self.source)), fine=(0,))

    def words(self, home):
        return ["report", self.source / "run", "--out", home / "run"]

    def state(self, home):
        assert (home / "run" / "report" / "index.html").is_file(), "no report"
        whole = digests(self.source)
        return {
            **forks.scores(home),
            **{name: whole[name] for name in whole if "stamps" not in name},
        }


class Install:
    """A model that was packed, into the folder of one's own."""

    def __init__(self, place):
        self.place, self.file = place, place.folder / "theirs.zip"
        packed = place.run("model", "pack", "watershed:nuclei-2d", "--out", self.file)
        in_order(*packed, fine=(0,))

    def words(self, home):
        return ["model", "install", self.file, "--name", f"theirs-{home.name}"]

    def state(self, home):
        name = f"theirs-{home.name}"
        found = digests(self.place.home / "weights")
        card = facts_of(self.place.home / "weights" / "watershed" / f"{name}.json")
        return {key: digest for key, digest in found.items() if "theirs-" not in key} | card


class Train:
    """A training of a few steps, by the command that starts the trainer."""

    def __init__(self, place):
        self.place = place

    def words(self, home):
        given = ["--name", f"m-{home.name}", "--settings", self.place.settings]
        return ["train", NETWORK, self.place.data, *given]

    def state(self, home):
        name, home = f"m-{home.name}", self.place.home
        card = facts_of(home / "weights" / NETWORK / f"{name}.json")
        rows = (home / "runs" / "training" / name / "validation.csv").read_text()
        return {**card, "validation": rows}


class Trainer(Train):
    """The trainer alone, in which all steps are."""

    program = TRAINER

    def words(self, home):
        name, own = f"m-{home.name}", self.place.home
        given = ["--data", self.place.data, "--settings", self.place.settings, "--name", name]
        work = own / "runs" / "training" / name
        return [NETWORK, *given, "--out", own / "weights" / NETWORK, "--work", work]


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
    program, end = getattr(kind, "program", ""), time.monotonic() + PATIENCE_S
    while True:
        code, text = place.run(*kind.words(home), program=program)
        if code != 2 or "running" not in text or time.monotonic() > end:
            return code, text
        time.sleep(0.2)


def finished(code, text):
    """Hold a command to its good end, or to the refusal of what it had done before it was killed."""
    whole = code == 2 and any(word in text for word in WHOLE)
    in_order(code, text, fine=(2,) if whole else (0,))


def attack(kind, tally, options, place=None):
    """Kill a command at random instants, each in a folder of its own, and run it again."""
    rng = np.random.default_rng(options.seed)
    with TemporaryDirectory(prefix="kills-") as folder:
        place = Place(Path(folder))
        command = COMMANDS[kind](place)
        program = getattr(command, "program", "")
        place.run(*command.words(place.folder / "warm"), program=program)
        begun = time.monotonic()
        code, text = place.run(*command.words(place.folder / "quiet"), program=program)
        seconds = time.monotonic() - begun
        in_order(code, text, fine=(0,))
        expected, done = command.state(place.folder / "quiet"), 0
        for number in range(5 * options.tries):
            if done == options.tries:
                break
            home = place.folder / f"try{number}"
            home.mkdir()
            moment = rng.uniform(0.02, seconds)
            code, text = place.killed(moment, *command.words(home), program=program)
            if code != -signal.SIGKILL:
                continue  # it had ended
            done += 1
            with tally.attempt(f"kill -9 of {kind}"):
                assert "Traceback" not in text, text[-1000:]
                finished(*again(place, command, home))
                found = command.state(home)
                over = left(home, *(place.home / room for room in ("weights", "runs")))
                assert (found == expected, over) == (True, []), (
                    f"after {moment:.2f} s: {differing(found, expected)} {over}"
                )
        place.runs.base.communicate()


KINDS = {kind: (lambda t, o, kind=kind: attack(kind, t, o)) for kind in COMMANDS}

if __name__ == "__main__":
    campaign("kills", KINDS, __doc__)
