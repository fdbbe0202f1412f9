import numpy as np
import pytest
from scipy import ndimage

from cytosuite.datasets.membrane.generate import generate, rounded
from cytosuite.datasets.physics.sketch import companions
from cytosuite.errors import InputError
from cytosuite.volume import Volume

SOCKETS = ["instance-labels", "microscopy-image", "structure-sketch"]


def _labels(sample):
    return sample.volume("instance-labels").array


def test_all_volumes_are_of_one_scene(sample):
    assert sorted(sample.sockets) == SOCKETS
    assert sorted(sample.companions) == ["boundary", "distance", "seeds"]
    labels = sample.volume("instance-labels")
    assert labels.spacing == (1.0, 0.5, 0.5)
    volumes = [sample.volume(name) for name in SOCKETS] + list(sample.companions.values())
    for volume in volumes:
        assert (volume.shape, volume.spacing) == (labels.shape, labels.spacing)
    types = [labels.array.dtype, sample.volume("structure-sketch").array.dtype]
    assert types == [np.uint16, np.uint8]
    assert sample.volume("microscopy-image").metadata["channel"] == "membrane"


def test_cells_are_whole_and_consecutive(sample):
    labels = _labels(sample)
    count = sample.metadata["n_cells"]
    assert count == sample.conditions["objects"] > 10
    assert np.unique(labels[labels > 0]).tolist() == list(range(1, count + 1))
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        cell = labels[box] == number
        assert ndimage.label(cell)[1] == 1
        assert cell.sum() >= 8


def test_annotation_is_that_of_the_labels(sample):
    again = companions(sample.volume("instance-labels"), 1.0)
    for name, volume in sample.companions.items():
        assert (volume.array == again[name].array).all()
    seeds = sample.companions["seeds"].array
    assert np.sort(_labels(sample)[seeds == 1]).tolist() == list(
        range(1, sample.metadata["n_cells"] + 1)
    )
    assert ((sample.companions["distance"].array > 0) == (_labels(sample) > 0)).all()


def test_the_sketch_shows_the_membranes(sample):
    sketch = sample.volume("structure-sketch").array
    assert ((sketch > 0) == (sample.companions["boundary"].array > 0)).all()
    assert sketch.max() > 240


def test_membranes_are_bright_in_the_microscope(sample):
    image, membrane = sample.volume("microscopy-image").array, sample.companions["boundary"].array
    shallow = np.s_[: image.shape[0] * 2 // 3]
    image, membrane = image[shallow].astype(float) - 100, membrane[shallow]
    assert image[membrane > 0].mean() > 1.5 * image[membrane == 0].mean()


def test_same_seed_gives_the_same_bytes_and_another_one_others(sample, maker):
    structure = sample.conditions["structure"]
    again, other = (maker(structure, seed) for seed in (0, 1))
    for name in SOCKETS:
        assert again.volume(name).array.tobytes() == sample.volume(name).array.tobytes()
        assert (other.volume(name).array != sample.volume(name).array).any()
    assert again.metadata == sample.metadata
    assert all(type(value) in (int, float, str) for value in sample.metadata.values())


def test_another_camera_leaves_the_cells_where_they_were(sample, maker):
    other = maker(sample.conditions["structure"], photons=500.0, read_noise=0.0, border_um=3.0)
    assert (_labels(other) == _labels(sample)).all()
    first, second = (made.volume("microscopy-image").array for made in (sample, other))
    assert second.mean() > 1.5 * first.mean()


def test_without_a_microscope_there_is_a_sketch(maker):
    made = maker("tissue", microscope=False)
    assert sorted(made.sockets) == ["instance-labels", "structure-sketch"]
    assert (_labels(made) == _labels(maker("tissue"))).all()
    assert set(made.conditions) == {"structure", "objects"}


def test_membranes_fade_with_depth():
    values = {"structure": "meristem", "shape": (40, 80, 80), "spacing_um": (0.5,) * 3}
    values |= {"cell_um": 5.0, "bumps": 0.0, "microscope": False}
    plain, faded = (
        generate(np.random.default_rng(0), values | {"falloff_um": length}) for length in (0.0, 5.0)
    )
    assert (_labels(plain) == _labels(faded)).all()
    assert set(np.unique(plain.volume("structure-sketch").array)) == {0, 255}
    ticks = np.stack(np.indices((40, 80, 80)), -1) * 0.5 + 0.25 - (20, 20, 20)
    depth = 19 - np.linalg.norm(ticks, axis=-1)  # of a ball
    sketch = faded.volume("structure-sketch").array
    shown = (sketch > 0) & (depth > 0)
    expected = 255 * np.exp(-depth[shown] / 5)
    assert np.abs(sketch[shown] - expected).max() < 4


def test_mean_volume_and_share_are_counted(sample):
    labels = _labels(sample)
    voxels = np.count_nonzero(labels)
    assert sample.metadata["tissue_share"] == voxels / labels.size
    assert sample.metadata["mean_volume_um3"] == pytest.approx(voxels / 4 / labels.max())


def test_rounded_cells_keep_flat_faces_and_lose_edges():
    block = np.zeros((24, 24, 24), np.uint16)
    block[4:, 4:20, 4:12], block[4:, 4:20, 12:20] = 1, 2
    depth = np.where(block > 0, 1.0, -1.0).astype(np.float32)
    cut = rounded(Volume(block, (1.0,) * 3), depth, 3.0)
    assert set(np.unique(cut)) == {0, 1, 2}
    assert (cut[cut > 0] == block[cut > 0]).all()
    assert cut[4, 12, 8] == 1  # middle of a face
    assert cut[4, 4, 4] == cut[4, 12, 11] == 0  # a corner; the furrow between the cells
    assert (cut[23, 8:16, 6:10] == 1).all()  # the border of the image is no surface


def test_deep_cells_are_not_rounded():
    block = np.zeros((24, 24, 24), np.uint16)
    block[:, :, :12], block[:, :, 12:] = 1, 2
    depth = np.broadcast_to(np.arange(24, dtype=np.float32)[:, None, None], block.shape)
    found = rounded(Volume(block, (1.0,) * 3), depth, 3.0)
    assert (found[5:] == block[5:]).all()


def test_rounding_bends_the_surface_of_a_meristem(maker):
    plain, bent = (_labels(maker("meristem", rounding=r)) for r in (0.0, 0.3))
    lost = (plain > 0) & (bent == 0)
    assert 0.005 < lost.sum() / (plain > 0).sum() < 0.15


def test_anisotropic_voxels_show_the_same_cells(maker):
    """Cells of a case do not depend on the voxels, as far as these are small."""
    coarse = maker("tissue", shape=(20, 48, 48), spacing_um=(1.0, 0.5, 0.5))
    fine = maker("tissue", shape=(40, 48, 48), spacing_um=(0.5, 0.5, 0.5))
    a, b = _labels(coarse), _labels(fine)[::2]
    pairs = np.stack([a.ravel(), b.ravel()])
    names, counts = np.unique(pairs, axis=1, return_counts=True)
    best = [counts[names[0] == number].max() for number in np.unique(a)]
    assert sum(best) / a.size > 0.93


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"structure": "leaf"}, "membrane parameters.*structure.*found 'leaf'"),
        ({"cell_um": [9, 5]}, r"membrane parameters.*cell_um.*low <= high"),
        ({"colour": 1}, "membrane parameters.*colour"),
        ({"min_voxels": 10**7}, "no cell of tissue has 10000000 voxels in the image"),
        (
            {"shape": [400, 400, 400], "cell_um": 1.0},
            "cells of 1 µm in .* at most 65535 are allowed; raise cell_um",
        ),
    ],
)
def test_refuses(values, message):
    with pytest.raises(InputError, match=message):
        generate(np.random.default_rng(0), values)
