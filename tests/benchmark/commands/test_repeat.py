"""The command in a report repeats the run: no option is left out."""

import shlex
import subprocess
from pathlib import Path

import pytest

from cytosuite.benchmark.commands import repeat
from cytosuite.benchmark.commands.options import BenchmarkOptions
from cytosuite.benchmark.commands.repeat import command_of

ROOT = Path(__file__).resolve().parents[3]
OPTIONS = {
    "size": "mini",
    "cases": 3,
    "settings": ["camera.photons=5", "output.steps=true"],
    "seed": 4,
    "task": "segment",
    "algorithm": ["watershed", "mine"],
    "through": ["smooth"],
    "reference": Path("real images"),
    "run": "mine",
    "api": "exec",
    "memory": 2.5,
    "timeout": 60.0,
    "device": "cuda",
    "base_image": "debian:12",
    "spacing": (2.0, 0.5, 0.5),
    "recursive": True,
    "channel_index": "DAPI",
    "frame": 0,
    "scene": 1,
}


def test_defaults_are_not_repeated():
    assert command_of(BenchmarkOptions(dataset="spheroid"), "process") == (
        "make benchmark DATASET=spheroid ENGINE=process"
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("timeout", "TIMEOUT=60"),
        ("memory", "MEMORY=2.5"),
        ("device", "DEVICE=cuda"),
        ("spacing", "SPACING=2,0.5,0.5"),
        ("settings", "SET='camera.photons=5 output.steps=true'"),
        ("reference", "REFERENCE='real images'"),
        ("frame", "FRAME=0"),
    ],
)
def test_a_limit_and_every_other_option_is_repeated(name, shown):
    options = BenchmarkOptions(dataset="spheroid", **{name: OPTIONS[name]})
    assert shown in command_of(options, "docker")


def test_a_flag_is_repeated_as_a_flag_outside_a_checkout(monkeypatch):
    monkeypatch.setattr(repeat, "CHECKOUT", None)
    options = BenchmarkOptions(dataset="a", recursive=True, frame=2)
    assert command_of(options, "process") == (
        "cytosuite benchmark a --recursive --frame 2 --engine process"
    )


def test_the_engine_that_was_asked_for_is_repeated():
    options = BenchmarkOptions(dataset="spheroid", engine="podman")
    assert command_of(options, "docker").endswith("ENGINE=podman")


def test_retries_and_places_are_no_part_of_it(tmp_path):
    options = BenchmarkOptions(dataset="spheroid", runs=tmp_path, workers=3, retry=True)
    assert command_of(options, "docker") == "make benchmark DATASET=spheroid ENGINE=docker"


def test_make_takes_every_word_of_the_command():
    words = shlex.split(command_of(BenchmarkOptions(dataset="a b", **OPTIONS), "docker"))
    assert len(words) == len(OPTIONS) + 4
    done = subprocess.run(
        [words[0], "-n", "-C", str(ROOT), *words[1:]],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '--timeout "60"' in done.stdout


def test_an_installed_package_has_no_make(monkeypatch):
    monkeypatch.setattr(repeat, "CHECKOUT", False)
    options = BenchmarkOptions(dataset="my images", base_image="x", timeout=9.0)
    assert command_of(options, "process") == (
        "cytosuite benchmark 'my images' --timeout 9 --base-image x --engine process"
    )
