import os

import numpy as np
import pytest
import tifffile

from cytosuite.benchmark.submission.checks import accept
from cytosuite.benchmark.submission.checks.accept import accept_outputs
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.tasks import TASKS
from cytosuite.volume import Volume

TASK = TASKS["segment"]
SLUG = "images/instance-labels"


@pytest.fixture
def output(tmp_path):
    """Return the output of a case that is as it should be."""
    image = Volume(np.ones((4, 5, 6), np.uint16), (1.0, 0.5, 0.5), "ZYX")
    write(tmp_path / SLUG / "case.mha", image)
    return tmp_path


def rules(folder, task=TASK):
    return [each.rule for each in accept_outputs(folder, task)]


def test_nothing_is_found_in_a_good_output(output):
    assert rules(output) == []
    assert rules(output, None) == []
    (output / "summary.json").write_text('{"n": 1}')
    assert rules(output, None) == []


def test_declared_outputs_are_missing_or_undeclared(output):
    (output / "more.json").write_text("{}")
    (output / "images" / "other").mkdir()
    assert rules(output) == ["output.undeclared", "output.undeclared"]
    assert rules(output, None) == ["output.missing"]
    assert rules(output, TASKS["enhance"])[0] == "output.missing"


def test_an_empty_output_is_missing(tmp_path):
    assert rules(tmp_path) == ["output.missing"]
    assert rules(tmp_path, None) == ["output.missing"]
    (tmp_path / SLUG).mkdir(parents=True)
    assert rules(tmp_path) == ["output.missing"]


def test_the_folder_itself_is_there(tmp_path):
    with pytest.raises(InputError, match="expected the folder of an algorithm's output"):
        accept_outputs(tmp_path / "none", None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b'{"a": 1}', []),
        (b"[1, 2]", []),
        (b"3", []),
        (b"\xef\xbb\xbf{}", []),
        (b'{"a": NaN}', ["output.json-number"]),
        (b'{"a": -Infinity}', ["output.json-number"]),
        (b'{"a": 1e999}', ["output.json-number"]),
        (b'{"a": 1, "a": 2}', ["output.json-number"]),
        (b"", ["output.json"]),
        (b"{", ["output.json"]),
        (b"{'a': 1}", ["output.json"]),
        (b'{"a": "\xe9"}', ["output.json"]),
        (b"[" * 100_000, ["output.json"]),
    ],
)
def test_json_is_read_as_the_platform_does(tmp_path, text, expected):
    (tmp_path / "a.json").write_bytes(text)
    assert rules(tmp_path, None) == expected


def test_links_are_found_and_not_followed(output, tmp_path):
    (output / SLUG / "x.mha").symlink_to("/etc/passwd")
    (output / "a.json").symlink_to("/dev/zero")
    (output / "images" / "linked").symlink_to(output / SLUG)
    assert rules(output, None) == ["output.link"] * 3
    assert rules(output) == ["output.link", "output.undeclared", "output.undeclared"]


def test_a_pipe_does_not_stop_the_check(output):
    os.mkfifo(output / SLUG / "pipe")
    os.mkfifo(output / "a.json")
    assert rules(output, None) == ["output.json", "output.extra"]


def test_nothing_but_metaimage_and_tiff_is_read(output):
    (output / SLUG / "case.mha").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    assert rules(output) == ["output.no-image"]


def test_too_many_files_are_refused(output, monkeypatch):
    monkeypatch.setattr(accept, "FILES", 3)
    for number in range(3):
        (output / SLUG / f"{number}.txt").touch()
    assert rules(output) == ["output.too-many"]


def test_folders_in_each_other_are_searched_and_bounded(output):
    deep = output / SLUG / "/".join("a" * 40)
    deep.mkdir(parents=True)
    (deep / "x.mha").touch()
    (output / SLUG / "case.mha").rename(output / SLUG / "a" / "a" / "case.mha")
    assert rules(output) == []


@pytest.mark.parametrize(
    ("settings", "shape", "expected"),
    [
        ({}, (9, 9), "output.resolution"),
        ({"resolution": (5, 5), "resolutionunit": "INCH"}, (9, 9), "output.inch"),
        ({"resolution": (5, 5), "resolutionunit": "CENTIMETER"}, (5, 9, 9), "output.flat"),
        (
            {"resolution": (5, 5), "resolutionunit": "CENTIMETER", "photometric": "miniswhite"},
            (9, 9),
            "output.colour",
        ),
    ],
)
def test_each_rule_of_a_tiff_is_caught_and_no_other(tmp_path, settings, shape, expected):
    (tmp_path / SLUG).mkdir(parents=True)
    tifffile.imwrite(tmp_path / SLUG / "a.tif", np.ones(shape, np.uint8), **settings)
    assert rules(tmp_path) == [expected]


@pytest.mark.parametrize(
    ("altered", "expected"),
    [
        ((b"NDims = 3", b"NDims = 7"), "output.broken"),
        ((b"MetaImage", b"MetaImage"), None),
        ((b"AnatomicalOrientation = ", b"SliceThickness = "), "output.key"),
        ((b"ElementDataFile = LOCAL", b"ElementDataFile = other"), "output.broken"),
    ],
)
def test_each_rule_of_a_metaimage_is_caught(output, capfd, altered, expected):
    path = output / SLUG / "case.mha"
    path.write_bytes(path.read_bytes().replace(*altered))
    assert rules(output) == ([expected] if expected else [])


def test_five_dimensions_are_refused(tmp_path):
    (tmp_path / SLUG).mkdir(parents=True)
    text = "ObjectType = Image\nNDims = 5\nDimSize = 2 2 2 2 2\nElementSpacing = 1 1 1 1 1\n"
    text += "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    (tmp_path / SLUG / "a.mha").write_bytes(text.encode() + bytes(32))
    assert rules(tmp_path) == ["output.dimensions"]
