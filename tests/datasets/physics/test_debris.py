import numpy as np
import pytest
from numpy.testing import assert_allclose

from cytosuite.bodies.grid import Grid
from cytosuite.datasets.physics import bodies, debris, shapes


def test_pieces_fill_their_share_of_each_nucleus_and_lie_inside_of_it(rng):
    nuclei = shapes.draw_nuclei(rng, 1, diameter_um=9.0, axis_spread=0.2)
    centres = rng.uniform(10, 60, (1, 3))
    pieces, places = debris.fragments(rng, nuclei, centres, share=0.2)
    assert bodies.volumes_um3(pieces).sum() == pytest.approx(0.2 * bodies.volumes_um3(nuclei)[0])
    assert places.shape == (len(pieces), 3)
    assert (pieces.phase == shapes.FRAGMENT).all()
    assert not pieces.mitotic.any()
    local = (places - centres) @ nuclei.rotations[0] / nuclei.semi_axes_um[0]
    reach = pieces.semi_axes_um.max(axis=1) / nuclei.semi_axes_um.min()
    assert (np.linalg.norm(local, axis=1) + reach).max() <= 1
    assert not len(debris.fragments(rng, nuclei, centres, count=(0, 0))[0])


def test_bodies_are_round_and_in_their_ranges(rng):
    pieces = debris.bodies(rng, 300, diameter_um=(1.0, 4.0), brightness=(0.2, 2.0))
    diameters = (6 / np.pi * bodies.volumes_um3(pieces)) ** (1 / 3)
    assert (diameters.min(), diameters.max()) == pytest.approx((1, 4), rel=0.05)
    assert np.median(diameters) == pytest.approx(2, rel=0.1)
    assert (pieces.brightness.min(), pieces.brightness.max()) == pytest.approx((0.2, 2), rel=0.05)
    assert np.median(pieces.semi_axes_um[:, 2] / pieces.semi_axes_um[:, 0]) < 1.4
    assert not pieces.nucleoli.any()


def test_blob_is_a_gaussian():
    grid = Grid((101, 101, 101), (0.2, 0.2, 0.2), (-0.1, -0.1, -0.1))
    sigmas = np.array([[3.0, 2.0, 1.0]])
    blob = debris.Blobs(np.full((1, 3), 10.0), sigmas, np.array([1.5]))
    image = debris.paint_blobs(blob, grid, np.zeros(grid.shape, np.float32))
    away = (np.arange(101) * 0.2 - 10) / sigmas.T
    along = np.exp(-(away**2) / 2) - np.exp(-4.5)  # it ends at three standard deviations
    assert_allclose(
        image, 1.5 * np.einsum("i,j,k", *along.clip(0) / (1 - np.exp(-4.5))), rtol=1e-4, atol=1e-6
    )
