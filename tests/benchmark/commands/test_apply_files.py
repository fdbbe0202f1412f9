"""Folders, names and parts of files, as an algorithm is applied to them."""

import json
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from cytosuite.benchmark.commands import data as module
from cytosuite.benchmark.commands.apply import apply
from cytosuite.benchmark.commands.options import ApplyOptions
from cytosuite.errors import InputError
from cytosuite.files import remove
from cytosuite.formats import read, write
from cytosuite.volume import Volume


@pytest.fixture
def segment(monkeypatch, engine):
    """Return a function that segments images by the watershed on a fake engine."""
    monkeypatch.setattr(module, "choose", lambda *wanted: (engine, "engine: fake"))

    def segment(images, out, console=None, **options):
        return apply(
            ApplyOptions(images=images, out=out, algorithm="watershed", **options), console
        )

    return segment


def test_what_is_skipped_stands_on_a_line_and_in_the_summary(tmp_path, segment):
    images = tmp_path / "images"
    for name in ("one", "two"):
        write(images / f"{name}.tif", Volume(np.ones((4, 24, 24), np.uint16), (2.0, 0.5, 0.5)))
    (images / "a.ims").touch()
    (images / "sub").mkdir()
    console = Console(file=StringIO(), width=40)
    segment([images], tmp_path / "out", console)
    lines = console.file.getvalue().splitlines()
    line = (
        f"{images}: 2 images; skipped 2: a.ims (no reader for .ims: save as OME-TIFF), "
        "sub/ (a folder: --recursive)"
    )
    assert lines[0] == line
    assert lines.count(line) == 2
    assert lines[-1] == line


def test_a_published_data_set_gives_the_images_of_its_inference(tmp_path, segment):
    image = Volume(np.ones((4, 24, 24), np.uint16), (2.0, 0.5, 0.5))
    for name in ("trainA/a", "trainB/b", "inferenceA/a", "inferenceB/deep/b"):
        write(tmp_path / "in" / f"{name}.tif", image)
    console = Console(file=StringIO(), width=80)
    found = segment([tmp_path / "in"], tmp_path / "out", console)
    assert [result.output.name for result in found] == ["deep_b.tif"]
    assert f"{tmp_path / 'in'}: images of inferenceB/" in console.file.getvalue().splitlines()
    write(tmp_path / "in" / "own.tif", image)
    assert [each.output.name for each in segment([tmp_path / "in"], tmp_path / "o")] == ["own.tif"]


def test_names_are_kept_from_a_folder_as_from_a_file(tmp_path, segment):
    image = Volume(np.ones((4, 24, 24), np.uint16), (2.0, 0.5, 0.5))
    write(tmp_path / "in" / "größe µ.tif", image)
    write(tmp_path / "in" / "day 1" / "größe µ.tif", image)
    found = segment([tmp_path / "in"], tmp_path / "out", recursive=True)
    assert [result.output.name for result in found] == ["day 1_größe µ.tif", "größe µ.tif"]
    (alone,) = segment([tmp_path / "in" / "größe µ.tif"], tmp_path / "other")
    assert alone.output.name == "größe µ.tif"


def test_one_channel_and_frame_is_segmented_and_recorded(tmp_path, segment):
    array = np.zeros((2, 3, 4, 24, 24), np.uint16)
    array[1, 2, 1:3, 4:8, 4:8] = 100
    write(tmp_path / "a.tif", Volume(array, (2.0, 0.5, 0.5), "TCZYX"))
    (refused,) = segment([tmp_path / "a.tif"], tmp_path / "out")
    assert refused.status == "failed"
    assert refused.message.endswith("found 3 channels (0, 1, 2); choose one with --channel-index")
    (found,) = segment([tmp_path / "a.tif"], tmp_path / "out", channel_index="2", frame=1)
    assert read(found.output).array.max() == 1
    record = json.loads((tmp_path / "out" / "a.json").read_text())
    assert record["part"] == {"channel": "2", "frame": 1}
    for status in ("written", "there already"):
        (other,) = segment([tmp_path / "a.tif"], tmp_path / "out", channel_index="0", frame=1)
        assert (other.status, other.output.name) == (status, "a_channel-0_frame-1.tif")
    assert read(other.output).array.max() == 0
    assert read(found.output).array.max() == 1


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("a.ome.zarr", "a.ome.zarr"),
        ("a.zarr", "a.ome.zarr"),
        ("a.ozx", "a.ozx"),
        ("a.mha", "a.tif"),
    ],
)
def test_an_output_is_of_the_kind_of_its_image(tmp_path, segment, name, output):
    array = np.zeros((4, 24, 24), np.uint16)
    array[1:3, 4:8, 4:8] = 100
    write(tmp_path / "in" / name, Volume(array, (2.0, 0.5, 0.5), "ZYX", {"channel": "nucleus"}))
    (found,) = segment([tmp_path / "in" / name], tmp_path / "out")
    assert (found.output, found.status) == (tmp_path / "out" / output, "written")
    assert (read(found.output).array > 0).sum() == 2 * 4 * 4
    assert read(found.output).spacing == (2.0, 0.5, 0.5)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("a.json", "a.png", output, "a-objects.csv", "objects.csv"),
    }
    (again,) = segment([tmp_path / "in"], tmp_path / "out")
    assert again.status == "there already"
    remove(found.output)
    (third,) = segment([tmp_path / "in"], tmp_path / "out")
    assert third.status == "written"


def test_an_image_is_not_overwritten_by_its_output(tmp_path, segment):
    write(tmp_path / "a.ome.zarr", Volume(np.ones((4, 24, 24), np.uint16), (2.0, 0.5, 0.5)))
    with pytest.raises(InputError, match="the output would overwrite"):
        segment([tmp_path / "a.ome.zarr"], tmp_path)
