import numpy as np
import pytest

from cytosuite.algorithms.diffusion.noise import BLOCK, noise_field

SHAPE = (5, 150, 130)


def test_noise_is_normal():
    found = noise_field((8, 256, 256), 3, 0)
    assert found.dtype == np.float32
    assert abs(found.mean()) < 0.01
    assert found.std() == pytest.approx(1, abs=0.01)
    assert (np.abs(found) < 1.96).mean() == pytest.approx(0.95, abs=0.005)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("distance", [1, 64])
def test_neighbours_and_blocks_are_independent(axis, distance):
    found = np.moveaxis(noise_field((128, 128, 128), 0, 0), axis, 0)
    product = found[:-distance] * found[distance:]
    assert abs(product.mean()) < 5 / product.size**0.5


@pytest.mark.parametrize(
    ("origin", "shape"),
    [
        ((0, 0, 0), SHAPE),
        ((2, 10, 60), (1, 100, 20)),
        ((4, 64, 128), (1, 64, 2)),
        ((1, 3, 5), (2, 1, 1)),
    ],
)
def test_a_part_has_the_noise_of_the_whole(origin, shape):
    whole = noise_field(SHAPE, 7, 2)
    box = tuple(slice(low, low + size) for low, size in zip(origin, shape, strict=True))
    np.testing.assert_array_equal(noise_field(shape, 7, 2, origin), whole[box])


def test_a_larger_image_begins_with_the_noise_of_a_smaller_one():
    small, large = noise_field((2, 30, 40), 1, 0), noise_field((4, 130, 70), 1, 0)
    np.testing.assert_array_equal(large[:2, :30, :40], small)


@pytest.mark.parametrize("other", [(8, 0), (7, 1), (2**64 - 1, 0)])
def test_another_seed_or_draw_is_another_field(other):
    first, second = noise_field((2, 128, 128), 7, 0), noise_field((2, 128, 128), *other)
    assert abs((first * second).mean()) < 5 / first.size**0.5


def test_the_noise_stays_the_same_over_versions():
    """A stored result is made again from its seed: these numbers must never change."""
    stream = np.random.Philox(counter=[0, 1, 2, 3], key=[5, 6])
    expected = np.random.Generator(stream).standard_normal(BLOCK, np.float32)
    np.testing.assert_array_equal(noise_field((1, 64, 64), 5, 6, (1, 128, 192)), expected[:])
    values = noise_field((1, 1, 4), 0, 0)[0, 0]
    np.testing.assert_allclose(values, [0.059911, 0.0155596, -1.1644385, -0.1326471], atol=1e-6)
