"""An algorithm on arrays, held against its container."""

import re

import numpy as np
import pytest
import tifffile
from layouts import foreign
from mistakes import no_model, refused
from numpy.testing import assert_array_equal
from rasters import away_from, counted

from cytosuite.apply import DoubtfulModelWarning, apply
from cytosuite.container import Algorithm
from cytosuite.contract.interface import read_case, write_case, write_outputs
from cytosuite.contract.select import select
from cytosuite.contract.tasks import TASKS, VIEW, VIEW_FOLDER
from cytosuite.formats import read
from cytosuite.volume import Volume

FUSE = TASKS["fuse"]
FUSED = FUSE.outputs[0].slug
ARRAY = counted(5, 6, 7)
KEYS = {"spacing": 1.0, "PhysicalSizeX": 0.2, "PhysicalSizeY": 0.2, "PhysicalSizeZ": 1.0}
KEYS |= {"unit": "um", "channel": "membrane", "study": 1}


@pytest.fixture
def image(rng):
    """Return two bright balls in noise."""
    spacing = (1.0, 0.5, 0.5)
    balls = sum(away_from((8, 16, x), (16, 32, 64), spacing) < 5 for x in (16, 48))
    array = rng.poisson(20, balls.shape) + 200 * balls
    return Volume(array.astype(np.uint16), spacing, "ZYX", {"channel": "nucleus"})


def test_an_array_gives_what_the_container_writes(image, tmp_path):
    from cytosuite.benchmark.catalog.places import ROOT

    labels = apply("watershed", image)["instance-labels"]
    assert labels.array.max() == 2
    write_case(tmp_path / "in", TASKS["segment"], "balls", {"microscopy-image": image})
    models = [ROOT / "weights/watershed"]
    Algorithm("watershed", tmp_path / "in", tmp_path / "out", models).run_case()
    stored = read(tmp_path / "out/images/instance-labels/balls.tif")
    assert_array_equal(stored.array, labels.array)
    assert stored.spacing == labels.spacing


def test_a_named_model_is_the_one_that_runs(image, monkeypatch):
    offered = []
    monkeypatch.setattr(
        "cytosuite.container.select",
        lambda cards, *rest: offered.append(cards) or select(cards, *rest),
    )
    apply("watershed", image, model="spheroid-nuclei-3d")
    apply("watershed", image)
    assert [card.name for card in offered[0]] == ["spheroid-nuclei-3d"]
    assert len(offered[1]) > 1


def test_a_stack_of_one_slice_is_a_plane(image):
    plane = Volume(image.array[8], (0.5, 0.5), "YX", image.metadata)
    stack = Volume(image.array[8:9], image.spacing, "ZYX", image.metadata)
    labels, flat = (apply("watershed", one)["instance-labels"] for one in (plane, stack))
    assert labels.array.max() == 2
    assert_array_equal(flat.array, labels.array[None])
    assert flat.spacing == stack.spacing
    assert not apply("watershed", stack, model="embryo-nuclei-3d")["instance-labels"].array.any()


def test_a_doubtful_model_is_a_warning(image):
    far = Volume(image.array, (40.0, 20.0, 20.0), "ZYX", image.metadata)
    with pytest.warns(DoubtfulModelWarning, match="watershed: voxel size far from the model's"):
        apply("watershed", far)


def test_an_array_without_a_voxel_size_is_refused(image):
    for inputs in (image.array, {"microscopy-image": image.array}):
        refused("watershed: expected a Volume, or a mapping", apply, "watershed", inputs)


def test_an_unknown_model_is_one_line(image):
    line = "no model 'best' of watershed; there are cv1000-nuclei-3d, embryo-nuclei-3d"
    no_model(line, apply, "watershed", image, model="best")


def _case(folder, name="image_1_membrane_angle.tif", array=ARRAY, **words):
    metadata = {"axes": "ZYX"[-array.ndim :], **KEYS, **words}
    foreign(folder / "input/images" / VIEW_FOLDER / name, array, metadata=metadata)
    return folder / "input"


def test_a_file_alone_is_a_case(tmp_path):
    case = read_case(_case(tmp_path), FUSE)
    view = case.volumes[VIEW]
    assert_array_equal(view.array, ARRAY)
    assert (view.spacing, dict(view.metadata)) == (
        (1, 0.2, 0.2),
        {"channel": "membrane", "study": 1},
    )
    assert (case.name, case.suffix, case.warnings) == ("image_1_membrane_angle", ".tif", ())


def test_the_output_has_the_name_of_the_input_and_its_keys(tmp_path):
    case = read_case(_case(tmp_path, "5c0b-1.TIF"), FUSE)
    write_outputs(tmp_path / "output", FUSE, case, {FUSED: case.volumes[VIEW].like(ARRAY + 1)})
    (path,) = (tmp_path / "output").rglob("*.*")
    assert path == tmp_path / f"output/images/fused-{VIEW_FOLDER}" / "5c0b-1.TIF"
    with tifffile.TiffFile(path) as file:
        assert file.shaped_metadata[0] == {**KEYS, "axes": "ZYX", "shape": [5, 6, 7]}
        assert_array_equal(file.asarray(), ARRAY + 1)


@pytest.mark.parametrize(
    "name, channel", [("image_7_nucleus_angle.tif", "nucleus"), ("5c0b.tif", None)]
)
def test_without_a_list_the_name_of_the_file_tells_the_channel(tmp_path, name, channel):
    case = read_case(_case(tmp_path, name, channel=[]), FUSE)
    assert case.volumes[VIEW].metadata.get("channel") == channel
    assert case.sources.get("channel") == (channel and "name")


def _cut(folder):
    (path,) = _case(folder).rglob("*.tif")
    path.write_bytes(path.read_bytes()[:-100])
    return folder / "input"


@pytest.mark.parametrize(
    "expected, mistake",
    [
        ("angle.tif: expected a stack of slices (z, y, x),", lambda f: _case(f, array=ARRAY[0])),
        ("angle.tif: expected a", lambda f: _case(f, array=np.stack([ARRAY, ARRAY]), axes="CZYX")),
        ("image_1_membrane_angle.tif: cannot be read as TIFF, cut or broken", _cut),
    ],
)
def test_explains(tmp_path, expected, mistake):
    refused(re.escape(expected), read_case, mistake(tmp_path), FUSE)
