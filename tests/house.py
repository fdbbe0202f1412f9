"""A small checkout with toys of every task, made as a new user would: folders, and one entry per new task."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from cytosuite.files import write_json
from tests.cards import FACTS  # campaigns are started as modules of tests

ROOT = Path(__file__).resolve().parents[1]
COMPILED = shutil.ignore_patterns("*.pyc")
LEFT_OUT = shutil.ignore_patterns("kernels")
TEMPORARY = shutil.ignore_patterns("*.pyc.*", "*.tmp.*", ".*_cache", ".hypothesis", "*.part")


def passing(place, names):
    """Return what other tests write and remove meanwhile: a copy that lists it may lose it."""
    packages = {"packages"} if Path(place) == ROOT / "docker" else set()
    return TEMPORARY(place, names) | packages


def left_out(place, names):
    """Return what passes, and kernels of algorithms."""
    return passing(place, names) | LEFT_OUT(place, names)


ALGORITHM = """
name = "{name}"
version = "0.1.0"
title = "Toy: {name}"
description = "A toy of the task {task}."
task = "{task}"
needs = {needs}
authors = ["cytosuite developers"]
license = "Apache-2.0"
"""
HEAD = """
import numpy as np
from scipy import ndimage
from cytosuite.errors import InputError
"""
PREDICT = {
    "toy_threshold": (
        "segment",
        """
def predict(inputs, model):
    image = inputs["microscopy-image"]
    labels, _ = ndimage.label(image.array > image.array.mean() + 2 * image.array.std())
    return {"instance-labels": image.like(labels.astype(np.uint16))}
""",
    ),
    "toy_peaks": (
        "detect",
        """
from cytosuite.contract.points import Points

def predict(inputs, model):
    image = inputs["microscopy-image"]
    smooth = ndimage.gaussian_filter(image.array.astype(np.float32), (0.5, 1, 1))
    peaks = smooth == ndimage.maximum_filter(smooth, 5)
    places = np.argwhere(peaks & (smooth > 120))
    return {"detected-points": Points(places, image.spacing)}
""",
    ),
    "toy_bright": (
        "detect",
        """
from cytosuite.contract.points import Points

def predict(inputs, model):
    image = inputs["microscopy-image"]
    return {"detected-points": Points(np.argwhere(image.array > 150) + 0.5, image.spacing)}
""",
    ),
    "toy_follow": (
        "track",
        """
from cytosuite.contract.tracks import Track

def predict(inputs, model):
    movie = inputs["microscopy-movie"]
    labels, _ = ndimage.label(movie.array > movie.array.mean() + 2 * movie.array.std())
    frames = [place[0] for place in ndimage.find_objects(labels)]
    tracks = [Track(n, time.start, time.stop - 1) for n, time in enumerate(frames, 1)]
    return {"tracked-labels": movie.like(labels.astype(np.uint16)), "tracks": tracks}
""",
    ),
    "toy_smooth": (
        "enhance",
        """
def predict(inputs, model):
    image = inputs["microscopy-image"]
    smooth = ndimage.gaussian_filter(image.array.astype(np.float32), 0.7)
    return {"enhanced-image": image.like(smooth)}
""",
    ),
    "toy_wreck": (
        "enhance",
        """
def predict(inputs, model):
    image = inputs["microscopy-image"]
    return {"enhanced-image": image.like(ndimage.uniform_filter(image.array.astype(np.float32), 9))}
""",
    ),
    "toy_fails": (
        "enhance",
        """
def predict(inputs, model):
    image = inputs["microscopy-image"]
    if image.metadata["number"] == 2:
        raise InputError("the second image is not to my taste")
    smooth = ndimage.gaussian_filter(image.array.astype(np.float32), 0.7)
    return {"enhanced-image": image.like(smooth)}
""",
    ),
    "toy_paint": (
        "synthesise",
        """
def predict(inputs, model):
    sketch = inputs["structure-sketch"]
    light = ndimage.gaussian_filter(100.0 + 60.0 * (sketch.array > 0), (0.7, 1.2, 1.2))
    light += np.random.default_rng(0).normal(0, 8.0, light.shape)
    return {"synthetic-image": sketch.like(light.astype(np.float32))}
""",
    ),
    "toy_colour": (
        "synthesise",
        """
def predict(inputs, model):
    labels = inputs["instance-labels"]
    return {"synthetic-image": labels.like(np.float32(120) * (labels.array > 0))}
""",
    ),
    "toy_mean": (
        "fuse",
        """
def predict(inputs, model):
    one = inputs["fluorescence-lightsheet-3d-microscopy"]
    two = inputs["second-fluorescence-lightsheet-3d-microscopy"]
    mean = (one.array.astype(np.float32) + two.array) / 2
    return {"fused-fluorescence-lightsheet-3d-microscopy": one.like(mean)}
""",
    ),
    "toy_tally": (
        "tally",
        """
def predict(inputs, model):
    counts = inputs["cell-counts"]["counts"]
    return {"cell-summary": {"total": sum(counts), "model": model.card.name}}
""",
    ),
}
# Tests of attacks run beside others, on one daemon: their image has a name of its own.
PREDICT["toy_limit"] = PREDICT["toy_threshold"]
NEEDS = {
    "toy_paint": '["structure-sketch"]',
    "toy_colour": '["instance-labels"]',
    "toy_mean": '["second-fluorescence-lightsheet-3d-microscopy"]',
}
DATASET = """
name = "{name}"
version = "0.1.0"
title = "Toy: {name}"
description = "A toy dataset."
task = "{task}"
offers = {offers}
kind = "simulated"

[sizes.mini]
cases = 3

[sizes.default]
cases = 3

[sizes.full]
cases = 3
"""
GENERATE = """
import numpy as np
from pydantic import BaseModel
from scipy import ndimage
from cytosuite.volume import Volume
from cytosuite.datasets.sample import Sample

class Parameters(BaseModel):
    noise: float = 8.0

def cells(rng, parameters):
    grid = np.stack(np.indices((12, 40, 40)), axis=-1) * (2.0, 1.0, 1.0)
    labels = np.zeros((12, 40, 40), np.uint16)
    for number in range(1, 5):
        centre = np.array([12.0, 10.0 + 20 * (number % 2), 10.0 + 20 * (number // 3)]) + rng.normal(0, 1, 3)
        labels[((grid - centre) ** 2).sum(-1) < 30] = number
    clean = ndimage.gaussian_filter(100.0 + 60.0 * (labels > 0), (0.7, 1.2, 1.2)).astype(np.float32)
    noisy = (clean + rng.normal(0, parameters.noise, clean.shape)).astype(np.float32)
    return labels, clean, noisy

def volume(array, **facts):
    return Volume(array, (2.0, 1.0, 1.0), "ZYX", {"number": int(facts.pop("number", 0)), **facts})

def number_of(rng):
    return int(rng.bit_generator.seed_seq.spawn_key[-1]) + 1
"""
SAMPLES = {
    "toy_cells": (
        "segment",
        ["microscopy-image", "instance-labels"],
        """
    labels, clean, noisy = cells(rng, parameters)
    image = volume(noisy, number=number_of(rng), channel="nucleus")
    return Sample({"microscopy-image": image, "instance-labels": image.like(labels)})
""",
    ),
    "toy_spots": (
        "detect",
        ["microscopy-image", "detected-points", "instance-labels"],
        """
    from cytosuite.contract.points import Points
    labels, clean, noisy = cells(rng, parameters)
    inside = np.argwhere(labels)
    places = inside[rng.choice(len(inside), 12, replace=False)] + rng.uniform(-0.4, 0.4, (12, 3))
    grid = np.stack(np.indices(labels.shape), axis=-1)
    for place in places:
        away = ((grid - place) * (1.0, 0.7, 0.7)) ** 2
        noisy += (120 * np.exp(-away.sum(-1) / 2)).astype(np.float32)
    image = volume(noisy - 40 * (labels > 0), number=number_of(rng))
    points = Points(places, image.spacing).document()
    return Sample({"microscopy-image": image, "instance-labels": image.like(labels),
                   "detected-points": points})
""",
    ),
    "toy_films": (
        "track",
        ["microscopy-movie", "tracked-labels", "tracks"],
        """
    from cytosuite.contract.tracks import Track
    labels, clean, noisy = cells(rng, parameters)
    movie = np.stack([noisy + rng.normal(0, 2, noisy.shape) for _ in range(3)])
    frames = Volume(movie, (2.0, 1.0, 1.0), "TZYX", {"number": number_of(rng)})
    tracks = [Track(int(n), 0, 2) for n in np.unique(labels[labels > 0])]
    return Sample({"microscopy-movie": frames, "tracked-labels": frames.like(np.stack([labels] * 3)),
                   "tracks": tracks})
""",
    ),
    "toy_bare": (
        "segment",
        ["microscopy-image"],
        """
    image = volume(cells(rng, parameters)[2], number=number_of(rng), channel="nucleus")
    return Sample({"microscopy-image": image})
""",
    ),
    "toy_pairs": (
        "enhance",
        ["microscopy-image", "enhanced-image"],
        """
    labels, clean, noisy = cells(rng, parameters)
    image = volume(noisy, number=number_of(rng))
    return Sample({"microscopy-image": image, "enhanced-image": image.like(clean)})
""",
    ),
    "toy_sketches": (
        "synthesise",
        ["structure-sketch", "instance-labels"],
        """
    labels, clean, noisy = cells(rng, parameters)
    sketch = volume((labels > 0).astype(np.uint8), number=number_of(rng))
    return Sample({"structure-sketch": sketch, "instance-labels": sketch.like(labels)})
""",
    ),
    "toy_views": (
        "fuse",
        [
            "fluorescence-lightsheet-3d-microscopy",
            "second-fluorescence-lightsheet-3d-microscopy",
            "fused-fluorescence-lightsheet-3d-microscopy",
        ],
        """
    labels, clean, noisy = cells(rng, parameters)
    view = volume(noisy, number=number_of(rng))
    other = view.like((clean + rng.normal(0, parameters.noise, clean.shape)).astype(np.float32))
    name = "fluorescence-lightsheet-3d-microscopy"
    return Sample({name: view, f"second-{name}": other, f"fused-{name}": view.like(clean)})
""",
    ),
    "toy_counts": (
        "tally",
        ["cell-counts"],
        """
    return Sample({"cell-counts": {"counts": [int(n) for n in rng.integers(1, 9, 4)]}})
""",
    ),
}
TALLY = """

TASKS = MappingProxyType(
    {
        **TASKS,
        "tally": Task(
            "tally",
            "Tally of cells",
            (Socket("cell-counts", "json", "Counts of cells"),),
            (Socket("cell-summary", "json", "Summary"),),
        ),
    }
)
"""
BOARD = """

BOARDS = MappingProxyType({**BOARDS, "tally": Board((), (), ())})
"""


def take_bases(folder):
    """Let a copy of the checkout take the base images that were built here, each once for all."""
    records = folder / "runs/build"
    records.mkdir(parents=True)
    for path in (ROOT / "runs/build").glob("base-*.ids"):
        shutil.copy(path, records)


def build(folder, *, algorithms=(), datasets=(), tally=False):
    """Return a checkout in a new folder with some of the toys, and the watershed."""
    for room in ("cytosuite", "benchmark", "docker"):
        shutil.copytree(ROOT / room, folder / room, symlinks=True, ignore=left_out)
    shutil.copytree(ROOT / "datasets", folder / "datasets", ignore=left_out)
    for name in ("Dockerfile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    (folder / "algorithms").mkdir()
    shutil.copy(ROOT / "algorithms/__init__.py", folder / "algorithms")
    if not tally:
        for room in ("algorithms", "weights"):
            place = Path(room) / "watershed"
            shutil.copytree(ROOT / place, folder / place, ignore=left_out)
    for name in algorithms:
        _algorithm(folder, name)
    for name in datasets:
        _dataset(folder, name)
    if tally:
        for path, text in (
            ("cytosuite/contract/tasks.py", TALLY),
            ("cytosuite/metrics/boards.py", BOARD),
        ):
            with (folder / path).open("a") as stream:
                stream.write(text)
    take_bases(folder)
    return folder


def _algorithm(folder, name):
    """Add an algorithm: manifest, function, model card."""
    task, source = PREDICT[name]
    home = folder / "algorithms" / name
    home.mkdir()
    (home / "algorithm.toml").write_text(
        ALGORITHM.format(name=name, task=task, needs=NEEDS.get(name, "[]"))
    )
    (home / "predict.py").write_text(HEAD + source)
    (home / "__init__.py").write_text('"""A toy."""\n')
    card = FACTS | {"name": "plain", "algorithm": name, "task": task}
    write_json(folder / "weights" / name / "plain.json", card)


def _dataset(folder, name):
    """Add a dataset: manifest and generator."""
    task, offers, source = SAMPLES[name]
    home = folder / "datasets" / name
    home.mkdir()
    (home / "dataset.toml").write_text(DATASET.format(name=name, task=task, offers=offers))
    (home / "generate.py").write_text(f"{GENERATE}\n\ndef generate(rng, parameters):{source}")
    (home / "__init__.py").write_text('"""A toy."""\n')


def checkout(folder):
    """Copy the checkout with its compiled loops, but not with what else runs and tools leave."""
    left = {".venv", ".git", "dist", "build", "runs"}

    def ignored(place, names):
        of_tools = left if Path(place) == ROOT else set()
        return passing(place, names) | COMPILED(place, names) | of_tools

    shutil.copytree(ROOT, folder, symlinks=True, ignore=ignored)
    scripts = folder / ".venv/bin"
    scripts.mkdir(parents=True)
    for name, words in {"python": "", "cytosuite": "-m cytosuite.benchmark"}.items():
        program = scripts / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n')
        program.chmod(0o755)
    for mark in (".python", ".cytosuite", ".networks-cpu"):  # the environment is set up
        (folder / ".venv" / mark).touch()
    take_bases(folder)
    return folder


def ran(*words, cwd=ROOT, timeout=1800, **environment):
    """Run a program and return the finished process with its texts."""
    return subprocess.run(
        [*map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **environment},
        timeout=timeout,
    )


def printed(done):
    """Return what a program has printed, which must have ended well."""
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def command(house, *words):
    """Run a command in a house and return the finished process."""
    return ran(sys.executable, "-m", "cytosuite.benchmark", *words, cwd=house)
