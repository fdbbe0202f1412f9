import numpy as np
import pytest

from cytosuite import large, tiling
from cytosuite.algorithms.watershed import blocks as module
from cytosuite.algorithms.watershed.blocks import (
    margin_of,
    measure,
    plan_blocks,
    segment_blocks,
    steps_of,
    uneven_background,
)
from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.algorithms.watershed.predict import predict
from cytosuite.algorithms.watershed.segment import segment, smoothed
from cytosuite.errors import InputError
from cytosuite.segmentation.foreground import remove_background
from cytosuite.volume import Volume

SPACING = (2.0, 1.0, 1.0)
NUCLEI = Parameters(
    smoothing_um=0.8,
    axial_elongation=1.2,
    radii_um=(3.0,),
    local_um=6.0,
    local_weight=0.4,
    opening_um=1.0,
    minimum_size=30.0,
    minimum_contrast=0.3,
)
VARIANTS = [
    {},
    {"background_um": 16.0},
    {"relative_radii": (0.7, 1.0), "radii_um": (2.0, 4.0)},
    {"local_um": 0.0, "passes": 1},
]


def tissue(shape=(40, 150, 160), count=330, seed=0):
    """Return crowded nuclei of 6 to 9 µm on uneven ground, in photons."""
    rng = np.random.default_rng(seed)
    light = np.full(shape, 20.0)
    light += 30 * np.linspace(0, 1, shape[-1])
    steps = np.array(SPACING[-len(shape) :])
    for _ in range(count):
        centre, radius = rng.uniform(0, shape), rng.uniform(3, 4.5)
        far = np.ceil((radius + 4) / steps).astype(int)
        box = tuple(
            slice(max(0, int(c) - n), min(size, int(c) + n + 1))
            for c, n, size in zip(centre, far, shape, strict=True)
        )
        grid = np.ogrid[box]
        away = sum(((g - c) * s) ** 2 for g, c, s in zip(grid, centre, steps, strict=True)) ** 0.5
        light[box] = np.maximum(
            light[box], rng.uniform(80, 250) / (1 + np.exp(2 * (away - radius)))
        )
    return rng.poisson(light).astype(np.uint16)


def overlap(first, second):
    """Return SEG with the first labels as the truth, and how many are the same voxels."""
    count, pairs = np.bincount(second.ravel()), []
    for name in range(1, int(first.max()) + 1):
        inside = second[first == name]
        others = np.bincount(inside, minlength=2)
        best = int(others[1:].argmax()) + 1
        shared = int(others[best])
        union = inside.size + count[best] - shared if shared else 1
        pairs.append(shared / union if 2 * shared > inside.size else 0.0)
    return float(np.mean(pairs)), float(np.mean(np.array(pairs) == 1))


def cut(found, whole, planned):
    """Return how many objects of the whole lie across faces of cores, and how many are cut."""
    across, parted = set(), set()
    for axis in range(whole.ndim):
        for edge in {tile.output[axis].stop for tile in planned} - {whole.shape[axis]}:
            one, other = whole.take(edge - 1, axis), whole.take(edge, axis)
            here, there = found.take(edge - 1, axis), found.take(edge, axis)
            inside = (one == other) & (one > 0)
            across |= set(one[inside].tolist())
            parted |= set(one[inside & (here != there) & (here > 0) & (there > 0)].tolist())
    return len(across), len(parted)


@pytest.fixture
def in_blocks(monkeypatch):
    """Return a function that plans the blocks of an image for a memory of so many voxels."""

    def plan_them(shape, spacing, parameters, voxels):
        monkeypatch.setattr(module, "free_gib", lambda: voxels * 80 / 2**30)
        monkeypatch.setattr(module, "fits", lambda size: False)
        return plan_blocks(shape, margin_of(spacing, parameters), steps_of(spacing, parameters))

    return plan_them


@pytest.mark.parametrize(
    ("changes", "on_disk"), [*((changes, False) for changes in VARIANTS), ({}, True)]
)
def test_blocks_give_the_objects_of_the_whole(changes, on_disk, in_blocks, monkeypatch):
    image, parameters = tissue(), NUCLEI.model_copy(update=changes)
    whole = segment(image, SPACING, parameters)
    planned = in_blocks(image.shape, SPACING, parameters, 400_000)
    assert len(planned) > 1
    if on_disk:
        monkeypatch.setattr(large, "fits", lambda size: False)
        image = large.converted(image, np.int32)
    found = segment_blocks(image, SPACING, parameters, planned)
    assert large.is_mapped(found) == on_disk
    assert found.dtype == np.uint16
    assert found.max() == np.unique(found).size - 1
    seg, same = overlap(whole, found)
    assert whole.max() > 100
    assert abs(int(found.max()) - int(whole.max())) <= 2
    assert seg > 0.99
    assert same > 0.9
    across, parted = cut(found, whole, planned)
    assert across > 10
    assert parted == 0


def test_planes_too(in_blocks):
    image = np.random.default_rng(0).poisson(tissue((400, 420), 600)).astype(np.uint16)
    whole = segment(image, (1.0, 1.0), NUCLEI)
    planned = in_blocks(image.shape, (1.0, 1.0), NUCLEI, 40_000)
    found = segment_blocks(image, (1.0, 1.0), NUCLEI, planned)
    assert len(planned) > 3
    assert overlap(whole, found)[0] > 0.99
    assert cut(found, whole, planned)[1] == 0


def test_a_background_of_pieces_is_that_of_the_whole(monkeypatch):
    image, parameters = tissue((30, 60, 70), 20), NUCLEI.model_copy(update={"background_um": 14.0})
    signal, _ = smoothed(image, SPACING, parameters, 3.0)
    expected = signal - remove_background(signal, SPACING, 14.0)
    monkeypatch.setattr(module, "_PIECE", 20_000)
    uneven = uneven_background(image, SPACING, parameters, 3.0)
    for box in [tuple(map(slice, image.shape)), (slice(3, 9), slice(5, 60), slice(0, 1))]:
        np.testing.assert_allclose(uneven.read(box), expected[box], atol=1e-3)


def test_a_sample_measures_a_large_image_well(monkeypatch):
    image, parameters = tissue(), NUCLEI.model_copy(update={"relative_radii": (1.0,)})
    whole = measure(image, SPACING, parameters)
    monkeypatch.setattr(tiling, "SAMPLE", image.size // 3)
    monkeypatch.setattr(module, "_BRICK", {3: (4, 16, 16)})
    found = measure(image, SPACING, parameters)
    assert found != whole
    assert found.background == pytest.approx(whole.background, rel=0.1)
    assert found.threshold == pytest.approx(whole.threshold, rel=0.15)
    assert found.noise == pytest.approx(whole.noise, rel=0.15)
    assert found.radii == pytest.approx(whole.radii, rel=0.1)
    assert found.peak == pytest.approx(whole.peak, rel=0.3)


def test_an_image_that_fits_is_one_block(monkeypatch):
    for free in (None, 1.0):
        monkeypatch.setattr(module, "free_gib", lambda free=free: free)
        (only,) = plan_blocks((40, 60, 70), (9, 9, 9), (2, 3, 3))
        assert only.input == only.output == (slice(0, 40), slice(0, 60), slice(0, 70))


def test_blocks_begin_at_multiples_and_fit(in_blocks):
    planned = in_blocks((64, 256, 256), SPACING, NUCLEI, 500_000)
    steps = steps_of(SPACING, NUCLEI)
    assert steps == (1, 2, 2)
    for tile in planned:
        assert all(side.start % n == 0 for side, n in zip(tile.input, steps, strict=True))
        assert np.prod([side.stop - side.start for side in tile.input]) <= 500_000


def test_a_margin_by_hand():
    # 4.5 + max(18, 2 * 6) + 3 * 0.8 + 2 * 1 = 26.9 µm; along z 1.2 times as much
    assert margin_of(SPACING, NUCLEI) == (17, 27, 27)
    wide = NUCLEI.model_copy(update={"local_um": 20.0})
    assert margin_of((1.0, 1.0), wide) == (49, 49)  # 4.5 + 40 + 2.4 + 2


def test_predicts_in_blocks_where_memory_is_short(in_blocks, monkeypatch):
    image, reported = tissue(), []
    in_blocks(image.shape, SPACING, NUCLEI, 400_000)
    monkeypatch.setattr(module, "report", lambda done, total: reported.append((done, total)))
    card = type("Card", (), {"name": "test", "parameters": NUCLEI.model_dump()})
    volume = Volume(image, SPACING)
    model = type("Model", (), {"card": card})
    found = predict({"microscopy-image": volume}, model)["instance-labels"]
    assert found.array.max() > 100
    assert [done for done, _ in reported] == list(range(reported[0][1]))
    assert reported[0][1] > 1


def test_explains_an_image_of_which_no_block_fits(in_blocks):
    with pytest.raises(
        InputError,
        match=r"an image of 64 x 256 x 256 voxels, worked on in blocks of .* needs about 0\.0 GiB "
        r"of memory, 0\.0 GiB are free; crop it, or give more memory",
    ):
        in_blocks((64, 256, 256), SPACING, NUCLEI, 1000)
