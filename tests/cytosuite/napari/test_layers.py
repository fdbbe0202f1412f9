"""Images and results as layers with scale in µm, and layers as images: without napari."""

from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from mistakes import refused
from rasters import counted, same

from cytosuite.contract.tracks import Track
from cytosuite.files import write_json
from cytosuite.formats import write
from cytosuite.napari.layers import (
    is_labels,
    labels_of,
    made_by,
    paint_anew,
    read_image,
    results,
    simulated_spheroid,
    tracks_layer,
    volume_of,
)
from cytosuite.napari.runs import get_reader
from cytosuite.volume import Volume

SPACING = (2.0, 0.5, 0.25)
BLOCK = counted(4, 6, 8)


def _layer(array, **attributes):
    """Return what our functions see of a layer of napari."""
    defaults = {"ndim": array.ndim, "multiscale": False, "rgb": False, "world_to_data": tuple}
    return SimpleNamespace(**{"data": array, "metadata": {}, "name": "a", **defaults, **attributes})


@pytest.mark.parametrize(
    "dtype, largest, stored",
    [(np.uint16, 7, np.uint16), (np.uint8, 255, np.uint16), (np.int64, 9, np.int64)],
)
def test_painting_begins_an_object_of_its_own(dtype, largest, stored):
    array = np.zeros((4, 5), dtype)
    array[1, 1] = largest
    layer = _layer(array, selected_label=1)
    paint_anew(layer)
    assert (layer.selected_label, layer.data.dtype, layer.data.max()) == (
        largest + 1,
        stored,
        largest,
    )
    paint_anew(_layer(array))  # an image


def test_an_image_has_its_scale_in_um(tmp_path):
    path = tmp_path / "a.ome.zarr"
    write(path, Volume(BLOCK, SPACING))
    ((array, attributes, kind),) = get_reader(str(path))(str(path))
    same(array, BLOCK)
    assert (kind, attributes["name"], attributes["scale"]) == ("image", "a", SPACING)
    assert (attributes["units"], attributes["axis_labels"]) == (("um",) * 3, ("z", "y", "x"))


def test_channels_are_layers_and_frames_an_axis(tmp_path):
    write(tmp_path / "a.ome.zarr", Volume(np.stack([BLOCK] * 2), SPACING, "CZYX"))
    write(tmp_path / "b.tif", Volume(np.stack([BLOCK] * 3), SPACING, "TZYX"))
    tifffile.imwrite(tmp_path / "c.tif", np.zeros((6, 8, 3), np.uint8), photometric="rgb")
    two = read_image(tmp_path / "a.ome.zarr")
    assert [attributes["colormap"] for _, attributes, _ in two] == ["green", "magenta"]
    ((_, attributes, _),) = read_image(tmp_path / "b.tif")
    assert attributes["scale"] == (1.0, *SPACING)
    assert attributes["units"] == ("pixel", "um", "um", "um")
    colours = read_image(tmp_path / "c.tif")
    assert [attributes["name"] for _, attributes, _ in colours] == ["c red", "c green", "c blue"]
    assert colours[0][1]["units"] == ("pixel", "pixel")


def test_labels_are_known_by_folder_name_or_record(tmp_path):
    names = ("labels/a.tif", "01_GT/SEG/man_seg000.tif", "a_masks.tif", "a_label.tif", "out/a.tif")
    for name in names:
        write(tmp_path / name, Volume(BLOCK, SPACING))
    assert [is_labels(tmp_path / name) for name in names] == [True] * 4 + [False]
    for count in ("objects", "tracks"):
        write_json(tmp_path / "out/a.json", {count: 3, "key": "k"})
        ((array, attributes, kind),) = read_image(tmp_path / "out/a.tif")
        assert (kind, array.dtype, attributes["scale"]) == ("labels", np.uint16, SPACING)
    write(tmp_path / "labels/b.tif", Volume(BLOCK.astype(np.float32), SPACING))
    assert read_image(tmp_path / "labels/b.tif")[0][2] == "image"
    write(tmp_path / "labels/c.tif", Volume(np.stack([BLOCK, BLOCK]), SPACING, "CZYX"))
    assert [kind for *_, kind in read_image(tmp_path / "labels/c.tif")] == ["labels"] * 2


def test_the_model_of_labels_stands_in_their_record(tmp_path):
    write_json(tmp_path / "a.json", {"algorithm": "cellpose3d", "model": "mine"})
    layers = [SimpleNamespace(source=SimpleNamespace(path=p)) for p in (tmp_path / "a.tif", None)]
    assert [made_by(layer) for layer in [*layers, None]] == ["cellpose3d:mine", ":", ":"]


def test_other_files_and_stacks_of_files_are_left_to_others(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.png").write_bytes(b"")
    others = [str(tmp_path), str(tmp_path / "a.json"), str(tmp_path / "b.png"), [str(tmp_path)]]
    assert [get_reader(path) for path in others] == [None] * 4


def test_a_layer_becomes_the_image_that_it_was(tmp_path):
    path = tmp_path / "a.tif"
    write(path, Volume(BLOCK, SPACING, "ZYX", {"channel": "nucleus"}))
    ((array, attributes, _),) = read_image(path)
    volume = volume_of(_layer(array, **attributes))
    assert (volume.spacing, volume.axes, volume.metadata["channel"]) == (SPACING, "ZYX", "nucleus")
    assert not volume.spacing_is_assumed


@pytest.mark.parametrize(
    "scale, units, spacing",
    [
        ((1, 1, 1), "pixel", None),
        ((2, 1, 1), "pixel", (2.0, 1.0, 1.0)),
        ((200, 100, 100), "nanometer", (0.2, 0.1, 0.1)),
        ((2000, 500, 500), "angstrom", (0.2, 0.05, 0.05)),
    ],
)
def test_scale_is_in_um_and_not_known_of_bare_pixels(scale, units, spacing):
    names = ("axis -3", "axis -2", "axis -1")
    volume = volume_of(_layer(BLOCK, scale=scale, units=(units,) * 3, axis_labels=names))
    assert volume.spacing == pytest.approx(spacing or (1.0,) * 3)
    assert volume.spacing_is_assumed == (spacing is None)
    strange = _layer(BLOCK, scale=scale, units=("second",) * 3, axis_labels=tuple("zyx"))
    refused("a: expected lengths as units, found second", volume_of, strange)


def test_further_axes_are_at_the_shown_step():
    facts = {"scale": (1,) * 4, "units": ("pixel",) * 4, "axis_labels": tuple("tzyx")}
    same(volume_of(_layer(np.stack([BLOCK, BLOCK + 7]), **facts), (1.2, 2, 0, 0)).array, BLOCK + 7)


def test_mistakes_are_one_line():
    layer = _layer(BLOCK, scale=SPACING, units=("um",) * 3, axis_labels=tuple("zyx"))
    shape = "a: expected labels of the shape (3, 6, 8) of the image, found (4, 6, 8)"
    refused(shape, labels_of, layer, Volume(BLOCK[1:], SPACING))
    layer.data = BLOCK.astype(np.int32) - 5
    line = "a: expected labels from 0 to 4294967295, found (-5, 186)"
    refused(line, labels_of, layer, Volume(BLOCK, SPACING))
    layer.rgb = True
    refused("a: expected grey values, found colours", volume_of, layer)


def test_the_sample_is_an_image_with_its_labels():
    (image, attributes, _), (labels, _, kind) = simulated_spheroid()
    assert (image.shape, kind, labels.shape == image.shape) == ((24, 96, 96), "labels", True)
    assert attributes["units"] == ("um",) * 3
    assert labels.max() > 3


def test_outputs_of_an_algorithm_are_layers_of_their_kind(tmp_path):
    record = {"model": "m", "spacing_um": list(SPACING)}
    write_json(tmp_path / "a.json", {**record, "algorithm": "watershed"})
    write(tmp_path / "a.tif", Volume(BLOCK, SPACING))
    stored, ((_, attributes, kind),) = results(tmp_path, "a")
    assert (stored["model"], kind, attributes["name"]) == ("m", "labels", "a: watershed m")
    point = {"name": "1", "point": [0.0005, 0.001, 0.004]}
    points = {"type": "Multiple points", "points": [point], "version": {"major": 1, "minor": 0}}
    write_json(tmp_path / "b.json", {**record, "algorithm": "spots"})
    write_json(tmp_path / "b-detected-points.json", points)
    _, ((places, attributes, kind),) = results(tmp_path, "b")
    assert (kind, attributes["scale"]) == ("points", SPACING)
    np.testing.assert_allclose(places, [[2.0, 2.0, 2.0]])


def test_the_ways_of_cells_lead_through_their_centres_and_join_daughters_to_mothers():
    labels = np.zeros((2, 4, 6), np.uint16)
    labels[0, 1:3, 1:3], labels[1, 1, 1], labels[1, 2, 4:6] = 5, 7, 9
    tracks = [Track(5, 0, 0), Track(7, 1, 1, 5), Track(9, 1, 1, 5)]
    data, attributes, kind = tracks_layer(Volume(labels, (0.5, 0.25), "TYX"), tracks, "tracks")
    assert data.tolist() == [[5, 0, 1.5, 1.5], [7, 1, 1, 1], [9, 1, 2, 4.5]]
    assert (attributes["graph"], kind) == ({7: [5], 9: [5]}, "tracks")
    assert attributes["scale"] == (1.0, 0.5, 0.25)
