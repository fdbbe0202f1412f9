import numpy as np
import pytest
from scipy import ndimage

from cytosuite.apply import apply
from cytosuite.segmentation.padding import without_padding
from cytosuite.volume import Volume

PADDED = {
    "border": lambda a: np.pad(a, [(0, 0)] * (a.ndim - 2) + [(20, 10), (20, 0)]),
    "planes": lambda a: np.pad(a, [(6, 7)] + [(0, 0)] * (a.ndim - 1)),
    "turned": lambda a: ndimage.rotate(a.astype("f4"), 30, (-2, -1), order=1),
}
SIDES = {"YX": ((120, 150), (30, 30)), "ZYX": ((34, 66, 88), (17, 22, 22))}


def noisy(axes, light):
    """Nuclei on a grid with noise around 100 counts, and their number."""
    shape, period = SIDES[axes]
    grid = [(i % n - n // 2) / n for i, n in zip(np.indices(shape), period, strict=True)]
    nuclei = ndimage.gaussian_filter((sum(g**2 for g in grid) < 0.09).astype(float), 1)
    image = np.random.default_rng(1).poisson(100 + light * nuclei).astype(np.uint16)
    return image, int(np.prod(np.array(shape) // period))


@pytest.mark.parametrize("axes", SIDES)
@pytest.mark.parametrize("change", PADDED)
@pytest.mark.parametrize("light", [0, 300])
def test_padding_adds_and_hides_no_objects(axes, change, light):
    image, count = noisy(axes, light)
    facts = {"channel": "nucleus"}
    volume = Volume(PADDED[change](image), (1.75, 0.8, 0.8)[-len(axes) :], axes, facts)
    with pytest.warns(UserWarning, match="watershed: image padded"):
        labels = apply("watershed", volume)["instance-labels"].array
    assert np.unique(labels[labels > 0]).size == count * bool(light)


def test_nothing_else_is_padding(rng):
    frame = np.pad(rng.poisson(9, (40, 50)).astype(np.uint8), 9)  # hardly above it
    cut_out = np.pad(rng.normal(100, 20, (40, 50)), 9)
    crop = np.pad(rng.poisson(200, (20, 20)), 8)
    masks = np.tile(np.pad(rng.normal(100, 1, (9, 9)), 2), (5, 5))
    for array in (
        frame,
        cut_out,
        crop,
        cut_out > 0,
        200 * (cut_out > 0),
        masks,
        np.zeros((9, 9)),
        np.full((9, 9), np.nan),
    ):
        inputs = {"microscopy-image": Volume(array, (1.0, 1.0), "YX")}
        assert without_padding(inputs) == (inputs, [])


def test_each_frame_of_a_movie_has_padding_of_its_own():
    movie = np.stack([noisy("YX", 0)[0]] * 2)
    movie[1, :, -9:] = 0
    inputs, lines = without_padding({"microscopy-movie": Volume(movie, (1.0, 1.0), "TYX")})
    assert len(lines) == 1
    assert inputs["microscopy-movie"].array[movie == 0].mean() == pytest.approx(100, abs=2)
