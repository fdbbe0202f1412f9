import numpy as np
import pytest
from rasters import away_from
from scipy import ndimage

from cytosuite.contract.points import points_of
from cytosuite.contract.tasks import IMAGE, LABELS, POINTS
from cytosuite.datasets.cells.generate import TABLE, generate
from cytosuite.datasets.cells.parameters import Outlines, Parameters
from cytosuite.datasets.cells.processes import grow_processes
from cytosuite.formats import channels, write

SHAPE = (120, 200)
FAR = away_from(59.5, SHAPE)  # from the first cell
MIDDLES = np.array([[60.0, 60.0], [60.0, 130.0]])
SMALL = {
    "image": {"shape": (240, 240), "spacing_um": (0.25, 0.25), "margin_um": 10.0},
    "cells": {"n_cells": (5, 8)},
    "dyes": {"background_photons": (0.0, 0.0)},
    "spots": [{"place": "nucleus", "count": (20.0, 20.0), "law": "given"}],
    "shown": {"image": "spots"},
}


def _grown(**options):
    labels = np.zeros(SHAPE, np.uint16)
    for number, middle in enumerate(MIDDLES, 1):
        labels[away_from(middle, SHAPE) < 8] = number
    dome = (labels > 0).astype(np.float32)
    options = {"processes": 5, "process_um": 15, "process_width_um": 1.5, "forks": 0} | options
    settings = Outlines.model_validate(options)
    rng = np.random.default_rng(0)
    places = MIDDLES, np.array([8.0, 0.0])
    return labels, dome, grow_processes(rng, settings, labels, dome, places, (0.5, 0.5))


def test_processes_are_as_many_and_as_long_as_wanted_and_hang_together():
    labels, dome, added = _grown(process_bend=0.0)
    cell = labels == 1
    assert ndimage.label(cell)[1] == 1
    assert FAR[cell].max() == pytest.approx(8 + 15 / 0.5, abs=2)
    assert ndimage.label(cell & (np.abs(FAR - 15) < 2), np.ones((3, 3)))[1] == 5
    assert np.count_nonzero(labels == 2) == np.count_nonzero(_grown(processes=0)[0] == 2)
    assert ((added > 0) == (cell & (FAR >= 8))).mean() > 0.99
    assert 0 < dome[added > 0].max() < 0.5  # thin, relative to a cell of 5 µm


def test_a_process_ends_before_another_cell_and_forks_add_to_it():
    labels, _, _ = _grown(processes=20, process_um=60, process_bend=0.0)
    assert not (labels[:, 139:][50:70] == 1).any()  # in the shade of the other cell
    grown = [(_grown(processes=3, forks=share)[0] == 1).sum() for share in (0, 1)]
    assert grown[1] > grown[0] + 50


def _made(seed=3, **changes):
    return generate(np.random.default_rng(seed), Parameters.model_validate(SMALL | changes))


@pytest.fixture(scope="module")
def sample():
    return _made()


def test_the_table_agrees_with_the_points(sample):
    image = sample.volume(IMAGE.slug)
    table = sample.sockets[TABLE]
    spots = points_of(sample.sockets[POINTS.slug], image.spacing)
    assert {len(column) for column in table.values()} == {len(spots)}
    assert np.stack([table["y_um"], table["x_um"]], axis=1) == pytest.approx(spots.um, abs=1e-5)
    assert table["cell"] == spots.cells.tolist()
    assert table["photons"] == pytest.approx(spots.photons, rel=1e-5)


def test_the_sum_of_channels_is_one_of_photons_and_its_clipping_is_recorded(tmp_path):
    dark = {"gain": 1.0, "offset": 0.0, "read_noise": 0.0}
    scene = _made(dyes={"background_photons": (50.0, 50.0)}, microscope=dark)
    parts = scene.extras["channels"]
    assert parts.axes == "CYX"
    write(path := tmp_path / "a.tif", parts)
    assert channels(path) == ["cytoplasm", "nucleus", "spots"]  # `CHANNEL_INDEX` finds them
    assert np.array_equal(parts.array[2], scene.volume(IMAGE.slug).array)
    whole = scene.extras["sum-image"].array.astype(float)
    separate = parts.array.sum(axis=0, dtype=float) - 2 * 50  # the background counts once
    noise = np.sqrt((whole + separate + 200).mean())
    assert (whole - separate).mean() == pytest.approx(0, abs=5 * noise / 240)
    assert scene.metadata["clipped_sum"] == 0
    few = _made(microscope=dark | {"bits": 8, "gain": 2.0})
    assert few.extras["sum-image"].array.dtype == np.uint8
    assert few.metadata["clipped_sum"] == (few.extras["sum-image"].array == 255).mean() > 0


def test_stray_light_is_seen_but_stands_in_no_table(sample):
    stray = {"rays": (30, 30), "ray_photons": (9000, 9000), "debris": (9, 9), "debris_um": (1, 1)}
    marred = _made(stray=stray)
    assert marred.sockets[POINTS.slug] == sample.sockets[POINTS.slug]
    images = [marred.extras[f"{name}-image"].array for name in ("cytoplasm", "nuclei")]
    hits = [image > 4 * 7000 for image in (*images, marred.volume(IMAGE.slug).array)]
    assert all(20 < hit.sum() < 400 for hit in hits)
    assert not (hits[0] & hits[1] & hits[2]).any()  # each exposure has rays of its own
    assert marred.volume(IMAGE.slug).array.sum() > sample.volume(IMAGE.slug).array.sum()


def test_a_volume_has_the_axes_of_its_voxels_and_labels_of_the_target():
    volume = {"shape": (12, 90, 80), "spacing_um": (0.5, 0.3, 0.3), "margin_um": 12.0}
    scene = _made(image=volume, cells={"n_cells": 4}, shown={"image": "sum", "target": "nuclei"})
    assert scene.volume(IMAGE.slug).axes == "ZYX"
    channels = scene.extras["channels"].array
    assert channels.shape == (3, *volume["shape"])
    both = _made(image=volume, cells={"n_cells": 4}, shown={"image": "both"}).volume(IMAGE.slug)
    np.testing.assert_array_equal(both.array, channels[:2])
    nuclei = scene.volume(LABELS.slug).array
    assert (scene.extras["cell-labels"].array[nuclei > 0] == nuclei[nuclei > 0]).all()
    assert "z_um" in scene.sockets[TABLE]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"spots": []}, "shown.image is spots, but there are none"),
        ({"cells": {"two_nuclei": 0.6, "dying": 0.6}}, "shares of at most 1 in all"),
    ],
)
def test_contradictions_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        _made(**changes)


def test_two_nuclei_of_a_cell_are_two_objects_and_the_first_has_its_number():
    scene = _made(
        cells={"n_cells": (8, 8), "two_nuclei": 1.0}, shown={"target": "nuclei", "image": "nuclei"}
    )
    nuclei = scene.volume(LABELS.slug).array
    cells = scene.extras["cell-labels"].array
    assert {ndimage.label(nuclei == number)[1] for number in np.unique(nuclei)[1:]} == {1}
    assert scene.metadata["n_nuclei"] == np.unique(nuclei).size - 1 > cells.max()
    assert 80 <= scene.metadata["nuclei_photons"] <= 160
    first = (nuclei > 0) & (nuclei <= cells.max())
    assert (cells[first] == nuclei[first]).all()
