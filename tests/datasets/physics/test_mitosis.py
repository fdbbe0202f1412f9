from dataclasses import replace

import numpy as np
import pytest

from cytosuite.datasets.physics import bodies, mitosis, shapes
from cytosuite.datasets.physics.grid import Grid


def _population(count=40, seed=0, **options):
    rng = np.random.default_rng(seed)
    nuclei = shapes.draw_nuclei(rng, count, diameter_um=9.0, mitotic_fraction=0.9, **options)
    centres = rng.uniform(0, 100, (count, 3))
    divided, places, parent = mitosis.divide(rng, nuclei, centres)
    return nuclei, centres, divided, places, parent


def _pairs(nuclei, parent):
    """Return the numbers of both daughters and of their parent."""
    late = np.flatnonzero(nuclei.phase == shapes.LATE)
    first = np.searchsorted(parent, late)
    return first, first + 1, late


def test_only_late_nuclei_become_two():
    nuclei, centres, divided, places, parent = _population()
    late = nuclei.phase == shapes.LATE
    assert late.any()
    assert np.bincount(parent).tolist() == np.where(late, 2, 1).tolist()
    assert (np.diff(parent) >= 0).all()
    assert len(divided) == len(places) == len(parent) == len(nuclei) + late.sum()
    others = ~late[parent]
    assert (places[others] == centres[parent[others]]).all()
    assert (divided.semi_axes_um[others] == nuclei.semi_axes_um[parent[others]]).all()
    assert (divided.phase == nuclei.phase[parent]).all()


def test_population_without_late_nuclei_stays_as_it_is():
    rng = np.random.default_rng(0)
    nuclei = shapes.draw_nuclei(rng, 5, diameter_um=9.0)
    same, centres, parent = mitosis.divide(rng, nuclei, np.ones((5, 3)))
    assert parent.tolist() == [0, 1, 2, 3, 4]
    assert (same.semi_axes_um == nuclei.semi_axes_um).all()
    assert (centres == 1).all()


def test_plates_are_condensed():
    nuclei, _, divided, _, parent = _population(300)
    first, second, late = _pairs(nuclei, parent)
    volumes = bodies.volumes_um3(divided)
    share = (volumes[first] + volumes[second]) / bodies.volumes_um3(nuclei)[late]
    assert share.min() > 0.2
    assert share.max() < 0.35
    assert divided.brightness[first] / nuclei.brightness[late] == pytest.approx(share**-0.7)
    flatness = divided.semi_axes_um[first, 0] / divided.semi_axes_um[first, 1:].mean(axis=1)
    assert flatness.max() < 0.75
    assert np.median(flatness) < 0.5


def test_plates_stand_across_the_long_axis_and_apart():
    nuclei, centres, divided, places, parent = _population(300)
    first, second, late = _pairs(nuclei, parent)
    long = nuclei.rotations[late, :, 2]
    assert divided.rotations[first, :, 0] == pytest.approx(long)
    assert divided.rotations[second, :, 0] == pytest.approx(-long)
    assert np.linalg.det(divided.rotations) == pytest.approx(1)
    assert (places[first] + places[second]) / 2 == pytest.approx(centres[late])
    step = places[first] - centres[late]
    along = (step * long).sum(axis=1)
    assert np.linalg.norm(step, axis=1) == pytest.approx(along)
    assert (along > divided.semi_axes_um[first, 0]).all()


@pytest.mark.parametrize("seed", range(3))
def test_pair_lies_inside_the_nucleus_and_does_not_touch(seed):
    rng = np.random.default_rng(seed)
    late = shapes.draw_nuclei(rng, 1, diameter_um=9.0, mitotic_fraction=1, roughness=0)
    axes = late.semi_axes_um.prod() ** (1 / 3) * np.array([[0.9, 0.9, 0.9**-2]])
    late = replace(late, semi_axes_um=axes, phase=np.array([shapes.LATE]))
    middle = np.array([[8.0, 8.0, 8.0]])
    grid = Grid((80, 80, 80), (0.2, 0.2, 0.2))
    whole = replace(late, bend=np.zeros(1))
    outer = bodies.label(whole, middle, grid) > 0
    pair, centres, _ = mitosis.divide(rng, late, middle)
    labels = bodies.label(pair, centres, grid)
    assert not labels[~outer].any()
    single = [bodies.label(pair.take(np.array([i])), centres[[i]], grid) > 0 for i in range(2)]
    assert not (single[0] & single[1]).any()
    for number, expected in enumerate(bodies.volumes_um3(pair)):
        assert (labels == number + 1).sum() * 0.2**3 == pytest.approx(expected, rel=0.03)


def test_edges_of_plates_lean_to_the_poles():
    nuclei, _, divided, _, parent = _population(100)
    first, second, _ = _pairs(nuclei, parent)
    # a negative bend leans along the first axis, which points outwards
    assert (divided.bend[first] < 0).all()
    assert (divided.bend[second] < 0).all()


def test_same_seed_gives_the_same_pairs():
    one, other = _population(seed=4), _population(seed=4)
    assert (one[3] == other[3]).all()
    assert (one[2].waves == other[2].waves).all()
