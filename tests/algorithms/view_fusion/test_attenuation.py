import numpy as np
import pytest
from light_sheet import SPACING, noise, specimen, view

from cytosuite.algorithms.view_fusion.attenuation import LossEstimate, loss_of, paths_of

GIVEN = LossEstimate(block_um=20, strength=1, most_gain=10)


def test_paths_are_the_specimen_on_the_way_to_each_side():
    mask = np.zeros((1, 2, 5), bool)
    mask[0, 0, 1:4] = True
    paths = paths_of(mask, (2.0, 3.0, 0.5))
    np.testing.assert_allclose(paths[4][0, 0], [0, 0.25, 0.75, 1.25, 1.5])  # from low x
    np.testing.assert_allclose(paths[5][0, 0], [1.5, 1.25, 0.75, 0.25, 0])  # from high x
    np.testing.assert_allclose(paths[4:, 0, 1], 0)
    np.testing.assert_allclose(paths[0][0, 0], [0, 1, 1, 1, 0])
    np.testing.assert_allclose(paths[2][0, 0], [0, 1.5, 1.5, 1.5, 0])
    np.testing.assert_allclose(paths[2][0, 1], [0, 3, 3, 3, 0])


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("loss", [0.01, 0.025])
def test_the_loss_is_found_on_its_side(axis, side, loss):
    shape, spacing = (40, 60, 60), (2.0, 1.5, 1.5)
    image = view(shape=shape, spacing=spacing, loss_per_um=loss, axis=axis)
    image = np.flip(image, axis) if side else image
    per_um = loss_of(image, spacing, GIVEN).per_um
    place = 2 * axis + side
    assert np.argmax(per_um) == place
    assert per_um[place] == pytest.approx(loss, rel=0.35)
    assert sum(per_um) - per_um[place] < 0.5 * loss
    assert min(per_um) >= 0


def test_the_gain_undoes_the_loss():
    even, lossy = view(loss_per_um=0), view(loss_per_um=0.015)
    found = loss_of(lossy, SPACING, GIVEN)
    gain = found.gain.read(tuple(slice(0, n) for n in lossy.shape))
    assert gain.min() >= 1
    corrected = (lossy - found.background) * gain
    inside = specimen(share=0.55)
    left, right = (np.index_exp[..., :32], np.index_exp[..., 32:])

    def fall(image):
        return image[left][inside[left]].mean() / image[right][inside[right]].mean()

    before, after, best = (
        fall(each) for each in (lossy - found.background, corrected, even - 20.0)
    )
    assert before > best + 0.3
    assert abs(after - best) < 0.5 * (before - best)


def test_the_gain_is_limited_and_fades_beyond_the_specimen():
    found = loss_of(view(loss_per_um=0.05), SPACING, LossEstimate(strength=1, most_gain=1.5))
    assert 1.2 < found.gain.values.max() <= 1.5 + 1e-6
    corner = found.gain.values[0, 0, -1]
    assert corner < 1.1
    none = loss_of(view(loss_per_um=0.05), SPACING, LossEstimate(strength=0))
    np.testing.assert_allclose(none.gain.values, 1)
    assert max(none.per_um) > 0.02
    half = loss_of(view(loss_per_um=0.02), SPACING, LossEstimate(strength=0.5, most_gain=10))
    full = loss_of(view(loss_per_um=0.02), SPACING, LossEstimate(strength=1, most_gain=10))
    np.testing.assert_allclose(half.gain.values, np.sqrt(full.gain.values), rtol=1e-5)


def test_an_even_specimen_keeps_its_brightness():
    found = loss_of(view(loss_per_um=0), SPACING, LossEstimate(strength=1))
    assert found.gain.values.max() < 1.25
    assert max(found.per_um) < 0.005


def test_gain_and_offset_of_the_camera_count_for_nothing():
    image = view(loss_per_um=0.02)
    one, other = (loss_of(each, SPACING, GIVEN) for each in (image, 9 * image.astype(int) + 500))
    np.testing.assert_allclose(one.per_um, other.per_um, rtol=1e-3, atol=1e-6)
    assert other.background == pytest.approx(9 * one.background + 500, rel=1e-3)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((8, 20, 20), np.uint16),
        np.full((8, 20, 20), 9.5, np.float32),
        noise(),
        noise((1, 1, 40)),
        noise((5, 1, 1)) + np.arange(5, dtype=np.uint16)[:, None, None] * 1000,
        np.ones((1, 1, 1)),
    ],
    ids=lambda image: f"{image.dtype} {image.shape}",
)
def test_without_a_specimen_no_loss_is_seen(image):
    found = loss_of(image, (1.0, 0.3, 0.3), GIVEN)
    assert found.per_um == (0,) * 6
    assert (found.gain.values == 1).all()
    assert found.gain.read(tuple(slice(0, n) for n in image.shape)).shape == image.shape


@pytest.mark.parametrize("spacing", [(1e-9, 1e-9, 1e-9), (1e9, 1.0, 1e-6), (1e9, 1e9, 1e9)])
@pytest.mark.parametrize("block_um", [1e-3, 1000.0])
def test_odd_voxels_give_a_finite_gain(spacing, block_um):
    found = loss_of(view(), spacing, LossEstimate(block_um=block_um))
    assert np.isfinite(found.gain.values).all()
    assert found.gain.values.min() >= 1 - 1e-6
    assert found.gain.values.max() <= 2 + 1e-6
