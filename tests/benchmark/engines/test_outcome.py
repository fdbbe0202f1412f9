from dataclasses import replace
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest

from cytosuite.benchmark.engines import outcome
from cytosuite.benchmark.engines.outcome import PASSING, Limits, Status, ending
from cytosuite.formats import write
from cytosuite.volume import Volume

IMAGE = Volume(np.zeros((8, 64, 64), np.uint16), (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    "code, line, expected",
    [
        (0, "a warning", ("ok", "")),
        (-9, "", ("killed", "ended by SIGKILL")),
        (139, "", ("killed", "ended by SIGSEGV")),
        (4, "no room", ("out of memory", "no room")),
        (2, "bad image", ("non-zero exit", "bad image")),
        (1, "", ("non-zero exit", "exit code 1 without a message")),
        (128, "", ("non-zero exit", "exit code 128 without a message")),
        (None, "", ("engine error", "the exit code is not known")),
    ],
)
def test_an_ending_is_named_by_its_cause(code, line, expected):
    assert ending(code, line) == expected


def test_every_ending_has_a_status_and_one_line():
    assert Limits(memory_gib=8).memory_exceeded == (
        "out of memory",
        "memory limit of 8 GiB exceeded",
    )
    assert {ending(code, "")[0] for code in range(-64, 256)} | PASSING <= set(get_args(Status))
    for cpus, threads in ((0.5, "1"), (2.0, "2"), (3.9, "3")):
        assert set(Limits(cpus=cpus).environment.values()) == {threads}


def test_large_inputs_have_room_for_their_outputs(tmp_path, monkeypatch):
    for name in ("a/a.ome.zarr", "b/b.tif"):
        write(tmp_path / "images" / name, IMAGE)
    (tmp_path / "images/b/c.tif").write_text("no image")
    limits = Limits(output_gib=2**-20)
    assert limits.grown(tmp_path, tmp_path) == limits  # asked for, and the image is not large
    monkeypatch.setattr(outcome, "OUTPUT_GIB", 2**-20)
    assert limits.grown(tmp_path, tmp_path) == replace(limits, output_gib=4 * 2**17 / 2**30)
    assert Limits().grown(tmp_path, tmp_path) == Limits()
    assert limits.grown(tmp_path / "none", tmp_path) == limits
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2**16))
    assert limits.grown(tmp_path, tmp_path).output_gib == 2**-14


def test_outputs_of_small_images_are_small(tmp_path):
    write(tmp_path / "images/a/a.tif", IMAGE)
    assert Limits().within(outcome.voxels_of(tmp_path)).output_gib * 2**30 == 2**28 + 16 * 2**15
    assert Limits(output_gib=0.1).within(2**15).output_gib == 0.1
    assert Limits().within(outcome.voxels_of(tmp_path / "none")) == Limits()
