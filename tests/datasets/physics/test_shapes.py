from dataclasses import replace

import numpy as np
import pytest
from rasters import cube
from scipy import ndimage

from cytosuite.bodies.stars import label
from cytosuite.datasets.physics import bodies, shapes

MIDDLE = np.array([[10.0, 10.0, 10.0]])


def _nuclei(count=1, seed=0, **options):
    options = {"diameter_um": 9.0} | options
    return shapes.draw_nuclei(np.random.default_rng(seed), count, **options)


@pytest.mark.parametrize("roughness, bend", [(0.1, 0.0), (0.04, -0.4)])
def test_label_is_in_one_piece_and_has_the_volume_of_the_shape(roughness, bend):
    nuclei = _nuclei(seed=1, roughness=roughness, flat_fraction=bend != 0)
    labels = label(replace(nuclei, bend=np.array([bend])), MIDDLE, cube(20, 0.2, 0.2, 0.2))
    assert ndimage.label(labels)[1] == 1
    assert (labels > 0).sum() * 0.2**3 == pytest.approx(bodies.volumes_um3(nuclei)[0], rel=0.02)


def test_edge_of_a_bent_nucleus_leans_against_its_first_axis():
    flat = replace(
        _nuclei(roughness=0),
        semi_axes_um=np.array([[2.0, 6.0, 6.0]]),
        rotations=np.eye(3)[None],
        bend=np.array([0.5]),
    )
    z, y, x = np.nonzero(label(flat, MIDDLE, cube(20, 0.2, 0.2, 0.2)))
    away = np.hypot(y - 49.5, x - 49.5) * 0.2
    # at distance r of 6 the middle surface lies 0.5 (r² / 36 - 0.4) half heights of 2 µm lower
    assert (z[away < 1] - 49.5).mean() * 0.2 == pytest.approx(0.4, abs=0.1)
    assert (z[away > 5.5] - 49.5).mean() * 0.2 == pytest.approx(-0.5, abs=0.1)


def test_diameters_and_axes_follow_their_distributions():
    nuclei = _nuclei(4000, diameter_spread=0.1, axis_spread=0.15)
    diameters = (6 / np.pi * bodies.volumes_um3(nuclei)) ** (1 / 3)
    assert np.median(diameters) == pytest.approx(9, rel=0.01)
    assert np.log(diameters).std() == pytest.approx(0.1, rel=0.05)
    # the mean of three logarithms is taken out, two thirds of the variance remain
    spread = np.log(nuclei.semi_axes_um).var(axis=1, ddof=1).mean()
    assert spread == pytest.approx(0.15**2, rel=0.05)


def test_aligned_nuclei_turn_their_shortest_axis_to_the_normal():
    nuclei = _nuclei(6, flat_fraction=1)
    chosen = np.array([4, 0, 2, 5])
    shortest = nuclei.rotations[:, :, 0]
    normals = np.array([[0, 3.0, 4.0], [0, 0, 1.0], 2 * shortest[2], -shortest[5]])
    turned = shapes.align(nuclei, chosen, normals)
    unit = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    assert turned.rotations[chosen, :, 0] == pytest.approx(unit)
    assert turned.rotations[2] == pytest.approx(nuclei.rotations[2])  # it lay so before
    assert (turned.rotations[[1, 3]] == nuclei.rotations[[1, 3]]).all()
    products = turned.rotations @ turned.rotations.transpose(0, 2, 1)
    assert products == pytest.approx(np.broadcast_to(np.eye(3), products.shape), abs=1e-9)
    assert np.linalg.det(turned.rotations) == pytest.approx(1)


def test_phases_have_their_shares():
    counts = np.bincount(_nuclei(20000, mitotic_fraction=0.5).phase, minlength=5)
    assert counts / 20000 == pytest.approx([0.5, 0.15, 0.2, 0.15, 0], abs=0.01)
    assert not _nuclei(1000).mitotic.any()


def test_metaphase_is_a_small_bright_plate():
    resting, mitotic = (_nuclei(900, mitotic_fraction=share) for share in (0, 1))
    assert mitotic.mitotic.all()
    plates = mitotic.take(mitotic.phase == shapes.METAPHASE)
    assert 0.2 < (bodies.volumes_um3(plates).mean() / bodies.volumes_um3(resting).mean()) < 0.35
    assert plates.brightness.mean() > 1.8 * resting.brightness.mean()
    assert not mitotic.nucleoli[..., 3].any()
    assert (plates.semi_axes_um[:, 0] / plates.semi_axes_um[:, 1:].mean(axis=1)).mean() < 0.6


def _population(count=40):
    rng = np.random.default_rng(0)
    nuclei = shapes.draw_nuclei(rng, count, diameter_um=9.0, mitotic_fraction=0.9)
    centres = rng.uniform(0, 100, (count, 3))
    divided, places, parent = shapes.divide(rng, nuclei, centres)
    return nuclei, centres, divided, places, parent


def test_only_late_nuclei_become_two():
    nuclei, centres, divided, places, parent = _population()
    late = nuclei.phase == shapes.LATE
    assert late.any()
    assert np.bincount(parent).tolist() == np.where(late, 2, 1).tolist()
    assert len(divided) == len(places) == len(parent)
    others = ~late[parent]
    assert (places[others] == centres[parent[others]]).all()
    assert (divided.semi_axes_um[others] == nuclei.semi_axes_um[parent[others]]).all()
    assert (divided.phase == nuclei.phase[parent]).all()


def test_plates_are_condensed_across_the_long_axis_and_apart():
    nuclei, centres, divided, places, parent = _population(300)
    late = np.flatnonzero(nuclei.phase == shapes.LATE)
    first = np.searchsorted(parent, late)
    second = first + 1
    volumes = bodies.volumes_um3(divided)
    share = (volumes[first] + volumes[second]) / bodies.volumes_um3(nuclei)[late]
    assert share.min() > 0.2
    assert share.max() < 0.35
    assert divided.brightness[first] / nuclei.brightness[late] == pytest.approx(share**-0.7)
    long = nuclei.rotations[late, :, 2]
    assert divided.rotations[first, :, 0] == pytest.approx(long)
    assert divided.rotations[second, :, 0] == pytest.approx(-long)
    assert (places[first] + places[second]) / 2 == pytest.approx(centres[late])
    along = ((places[first] - centres[late]) * long).sum(axis=1)
    assert (along > divided.semi_axes_um[first, 0]).all()
    # all points of a plate, in units of the semi-axes of the nucleus before division
    outer = nuclei.semi_axes_um[late][:, [2, 0, 1]]
    bend = divided.bend[first, None]
    axes = divided.semi_axes_um[first] / outer
    curved = shapes.SPHERE[0] - bend * (shapes.SPHERE[1] ** 2 + shapes.SPHERE[2] ** 2 - 0.4)
    across = axes[:, 1:2] * np.hypot(shapes.SPHERE[1], shapes.SPHERE[2])
    assert np.hypot(axes[:, :1] * curved + (along / outer[:, 0])[:, None], across).max() < 1


def test_loosely_drawn_nuclei_are_wider_by_as_much_and_never_vanish():
    nuclei = _nuclei(20, axis_spread=0.3)
    assert nuclei.looser(0.7).semi_axes_um == pytest.approx(nuclei.semi_axes_um + 0.7)
    assert nuclei.looser(-50).semi_axes_um == pytest.approx(nuclei.semi_axes_um / 3)
