import numpy as np
import pytest

from cytosuite.datasets.phantoms.procedural import draw_library, render
from cytosuite.datasets.phantoms.stored import draw_stored
from cytosuite.datasets.physics import bodies
from cytosuite.datasets.physics.dye import chromatin_tile
from cytosuite.datasets.physics.grid import Grid
from cytosuite.datasets.physics.shapes import draw_nuclei

SPACING = (0.4, 0.4, 0.4)


def _library(seed=0, count=6):
    return draw_library(np.random.default_rng(seed), count, SPACING, diameter_um=8.0)


def test_phantoms_have_the_volume_and_shape_of_the_drawn_nuclei():
    rng = np.random.default_rng(1)
    nuclei = draw_nuclei(rng, 5, diameter_um=8.0, axis_spread=0.2)
    tile = chromatin_tile(rng, Grid((1, 1, 1), SPACING), 0.8)
    phantoms = render(nuclei, SPACING, tile)
    assert [phantom.name for phantom in phantoms] == [f"drawn_000{n}" for n in range(1, 6)]
    volumes = [phantom.volume_um3 for phantom in phantoms]
    assert volumes == pytest.approx(bodies.volumes_um3(nuclei), rel=0.04)
    for phantom, axes in zip(phantoms, nuclei.semi_axes_um, strict=True):
        assert phantom.semi_axes_um == pytest.approx(np.sort(axes), rel=0.08)


def test_chromatin_and_brightness_are_stored():
    phantoms = _library(count=12)
    for phantom in phantoms:
        light = phantom.intensity[phantom.inside]
        assert light.std() / light.mean() > 0.1
        assert light.min() > 0
    brightness = [phantom.brightness for phantom in phantoms]
    assert 0.6 < np.median(brightness) < 1.5
    assert np.std(np.log(brightness)) > 0.1


def test_the_rim_is_not_darkened_twice():
    rng = np.random.default_rng(0)
    even = draw_nuclei(rng, 1, diameter_um=8.0, contrast=0.0)
    phantom = render(even, SPACING, chromatin_tile(rng, Grid((1, 1, 1), SPACING), 0.6))[0]
    rim = phantom.inside & (phantom.distance > -0.4)
    assert phantom.intensity[rim].mean() > 0.9 * phantom.brightness


def test_a_library_is_ready_to_be_placed_and_repeatable():
    first, again = _library(3), _library(3)
    assert [p.intensity.tobytes() for p in first] == [p.intensity.tobytes() for p in again]
    nuclei = draw_stored(np.random.default_rng(0), 1, first, tilt=180.0)
    grid = Grid((30, 30, 30), (0.5, 0.5, 0.5))
    volume = np.count_nonzero(bodies.label(nuclei, np.full((1, 3), 7.5), grid)) * 0.125
    assert volume == pytest.approx(bodies.volumes_um3(nuclei)[0], rel=0.02)
