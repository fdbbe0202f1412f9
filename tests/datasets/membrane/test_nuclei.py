import numpy as np
import pytest
from mistakes import refused
from rasters import cube, places_of
from scipy import ndimage

from cytosuite.datasets.membrane.generate import ellipsoids
from cytosuite.datasets.physics.shapes import about_axis


def test_nuclei_lie_in_cells_of_their_number_and_not_in_membranes(both):
    cells = both.volume("instance-labels")
    nuclei = both.extras["nucleus-labels"]
    assert (nuclei.shape, nuclei.spacing, nuclei.array.dtype) == (
        cells.shape,
        cells.spacing,
        np.uint16,
    )
    inside = nuclei.array > 0
    assert (nuclei.array[inside] == cells.array[inside]).all()
    assert not both.extras["boundary"].array[inside].any()


def test_large_cells_have_nuclei_of_the_share_asked_for(maker):
    sample = maker("tissue", shape=(48, 96, 96), cell_um=14.0, nucleus=0.25)
    cells = sample.volume("instance-labels").array
    nuclei = sample.extras["nucleus-labels"].array
    sizes, inner = (
        np.bincount(labels.ravel(), minlength=cells.max() + 1) for labels in (cells, nuclei)
    )
    large = np.flatnonzero(sizes > np.median(sizes))[1:]
    assert np.median(inner[large] / sizes[large]) == pytest.approx(0.25, abs=0.02)
    assert sample.metadata["nucleus"] == 0.25


def test_the_sketch_has_one_value_per_nucleus(both):
    nuclei, seen = (both.extras[f"nucleus-{name}"].array for name in ("labels", "sketch"))
    assert seen.dtype == np.uint8
    assert ((seen > 0) == (nuclei > 0)).all()
    numbers = np.unique(nuclei)[1:]
    assert not ndimage.labeled_comprehension(seen, nuclei, numbers, np.ptp, int, -1).any()
    assert 127 <= seen[seen > 0].min() <= seen.max() <= 230
    assert both.extras["nucleus-sketch"].metadata["channel"] == "nucleus"


def test_one_image_can_have_both_channels(both, maker):
    sample = maker(both.conditions["structure"], nucleus=0.25, both=True)
    for name, other in (("structure-sketch", "sketch"), ("microscopy-image", "image")):
        volume = sample.volume(name)
        assert volume.axes == "CZYX"
        np.testing.assert_array_equal(
            volume.array, (both.volume(name).array, both.extras[f"nucleus-{other}"].array)
        )
    refused("both needs a nucleus above 0", maker, "tissue", both=True)


def test_the_second_channel_leaves_the_first_as_it_was(both, maker):
    alone = maker(both.conditions["structure"])
    assert not {"nucleus-sketch", "nucleus-labels", "nucleus-image"} & set(alone.extras)
    others = {**both.sockets, **both.extras}
    for name, volume in {**alone.sockets, **alone.extras}.items():
        assert volume.array.tobytes() == others[name].array.tobytes()


def test_the_ellipsoid_of_an_ellipsoid_is_itself_in_any_voxels():
    grid = cube(24, 1.0, 0.4, 0.5)
    (turn,) = about_axis(np.array([0.5]))
    inside = (((places_of(grid) - [12, 11, 13]) @ turn / [4, 6, 9]) ** 2).sum(-1) < 1
    labels = inside * np.uint16(2)
    labels[0, 0, 0] = 1
    centres, axes, rotations = ellipsoids(labels, grid)
    assert centres[1] == pytest.approx([12, 11, 13], abs=0.05)
    assert axes[1] == pytest.approx([4, 6, 9], rel=0.03)  # voxels have an extent
    assert np.abs(rotations[1] * turn).sum(axis=0) == pytest.approx(1, abs=0.02)
    assert np.linalg.det(rotations) == pytest.approx(1)
    assert axes[0].prod() * 4 / 3 * np.pi == pytest.approx(0.2)  # one voxel
