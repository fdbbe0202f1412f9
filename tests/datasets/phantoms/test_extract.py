import os
from pathlib import Path

import numpy as np
import pytest

from cytosuite.datasets.phantoms.extract import Cutting, extract
from cytosuite.errors import InputError
from cytosuite.formats import read
from cytosuite.volume import Volume

SPACING = (1.0, 0.5, 0.5)
BACKGROUND = 100


def _stack(cubes, shape=(20, 40, 40), background=BACKGROUND):
    """Return image and labels; a cube is (corner, edges, grey value above the background)."""
    image = np.full(shape, background, np.float32)
    labels = np.zeros(shape, np.uint16)
    for label, (corner, edges, grey) in enumerate(cubes, start=1):
        box = tuple(slice(a, a + n) for a, n in zip(corner, edges, strict=True))
        labels[box] = label
        image[box] += grey
    return Volume(image, SPACING), Volume(labels, SPACING)


def test_background_is_removed_and_relative_brightness_kept():
    edges = (6, 8, 8)
    cubes = [((2, 4, 4), edges, 50), ((2, 24, 4), edges, 100), ((12, 4, 24), edges, 300)]
    found = extract(*_stack(cubes))
    assert [phantom.name for phantom in found.phantoms] == [
        "nucleus_0001",
        "nucleus_0002",
        "nucleus_0003",
    ]
    assert [p.brightness for p in found.phantoms] == pytest.approx([0.5, 1.0, 3.0])
    assert [p.volume_um3 for p in found.phantoms] == pytest.approx([6 * 64 * 0.25] * 3, rel=2e-3)
    assert {f.background for f in found.objects} == {BACKGROUND}
    assert {f.background_from for f in found.objects} == {"surroundings"}
    assert found.skipped == ()


def test_skipped_objects_are_listed_with_the_reason():
    cubes = [
        ((0, 4, 4), (6, 8, 8), 50),  # touches the first slice
        ((4, 4, 20), (2, 2, 2), 50),
        ((4, 20, 4), (6, 8, 8), -20),
        ((4, 20, 20), (6, 8, 8), 50),
    ]
    found = extract(*_stack(cubes))
    assert [phantom.name for phantom in found.phantoms] == ["nucleus_0004"]
    assert [(f.label, f.voxels, f.skipped) for f in found.skipped] == [
        (1, 384, "touches the border"),
        (2, 8, "smaller than 100 voxels"),
        (3, 384, "not brighter than its background"),
    ]
    assert len(found.objects) == 4


def test_a_neighbour_leaves_no_trace():
    alone = [((4, 8, 8), (6, 8, 8), 50)]
    image, labels = _stack(alone)
    crowded, both = _stack([*alone, ((4, 8, 16), (6, 8, 8), 900)])
    first = extract(image, labels).phantoms[0]
    second = extract(crowded, both, Cutting(min_voxels=10)).phantoms[0]
    assert np.array_equal(first.distance, second.distance)
    shape = first.intensity / first.brightness - second.intensity / second.brightness
    assert abs(shape).max() < 1e-5


def test_of_an_object_in_two_pieces_the_larger_is_taken():
    image, labels = _stack([((4, 8, 8), (6, 8, 8), 50), ((4, 30, 30), (2, 3, 3), 50)])
    labels.array[labels.array == 2] = 1
    (phantom,) = extract(image, labels).phantoms
    assert phantom.volume_um3 == pytest.approx(6 * 64 * 0.25, rel=2e-3)


def test_without_surroundings_the_background_is_that_of_the_stack():
    image, labels = _stack([((4, 8, 8), (6, 8, 8), 50), ((4, 24, 24), (6, 8, 8), 50)])
    labels.array[2:12, 4:20, 4:20] += (labels.array == 0)[2:12, 4:20, 4:20] * np.uint16(3)
    found = extract(image, labels, Cutting(margin_um=0.5))
    first = found.objects[0]
    assert first.background_from == "stack"
    assert first.background == pytest.approx(BACKGROUND, abs=0.5)
    assert found.objects[1].background_from == "surroundings"


def test_smoothing_takes_noise_out_and_keeps_the_mean():
    image, labels = _stack([((4, 8, 8), (8, 12, 12), 50)])
    noise = np.random.default_rng(0).normal(0, 10, image.shape)
    image = Volume((image.array + noise).astype(np.float32), SPACING)
    raw, smooth = (extract(image, labels, Cutting(smooth_um=s)).phantoms[0] for s in (0.0, 0.8))
    assert smooth.intensity[smooth.inside].std() < 0.3 * raw.intensity[raw.inside].std()
    assert smooth.brightness == pytest.approx(raw.brightness)


def test_labels_without_a_nucleus_give_none():
    assert extract(*_stack([])).phantoms == ()


def _plane(image, labels):
    return Volume(image.array[0], SPACING[1:], "YX"), labels


def _unknown_size(image, labels):
    return Volume(image.array, (1, 1, 1), "ZYX", {"spacing_source": "assumed"}), labels


def _real_labels(image, labels):
    return image, labels.like(labels.array.astype(np.float32))


def _hole(image, labels):
    array = image.array.copy()
    array[0, 0, 0] = np.nan
    return image.like(array), labels


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_plane, "phantoms are cut from 3D images with labels of the same shape"),
        (_unknown_size, "the image gives no voxel size"),
        (_real_labels, "labels must be integers, found dtype float32"),
        (_hole, "finite intensities, found NaN"),
    ],
)
def test_stacks_that_cannot_be_used_are_refused(spoil, message):
    with pytest.raises(InputError, match=message):
        extract(*spoil(*_stack([((4, 8, 8), (6, 8, 8), 50)])))


def _embryos():
    """Return the folder of annotated embryos below CYTOSUITE_DATA, if there is one."""
    return Path(os.environ.get("CYTOSUITE_DATA", "")) / "mouse_embryo_3d"


@pytest.mark.skipif(
    not (_embryos() / "images").is_dir(),
    reason="CYTOSUITE_DATA names no folder that holds mouse_embryo_3d/images",
)
def test_nuclei_of_a_mouse_embryo():
    path = _embryos() / "images" / "ix71_Emb05_t351.tif"
    labels = read(_embryos() / "labels" / path.name)
    found = extract(read(path), labels)
    sizes = np.bincount(labels.array.ravel())
    assert len(found.phantoms) >= 8
    assert len(found.objects) == np.count_nonzero(sizes[1:])
    for phantom in found.phantoms:
        voxels = next(f.voxels for f in found.objects if f.label == int(phantom.name[-4:]))
        assert phantom.volume_um3 == pytest.approx(voxels * np.prod(labels.spacing), rel=0.01)
        assert 0.1 < phantom.brightness < 10
    assert np.median([p.brightness for p in found.phantoms]) == pytest.approx(1, rel=0.05)
