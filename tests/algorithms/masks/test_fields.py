import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cytosuite.algorithms.masks.fields import draw, fields_of, signed_distance

OPEN = {
    **{"area": (4.0, 1e6), "solidity": (0.0, 1.0)},
    **{"nucleus_share": (0.01, 1.0), "nucleus_solidity": (0.0, 1.0)},
}
UNIT = (1.0, 1.0)


def _squares():
    """Return two cells of 6 x 6 that touch, one cut by a face, and their nuclei of 2 x 2."""
    cells, nuclei = np.zeros((2, 14, 20), int)
    for number, (y, x) in enumerate([(2, 2), (2, 8), (8, 17)], 1):
        cells[y : y + 6, x : x + 6] = number
        nuclei[y + 2 : y + 4, x + 2 : x + 4] = number
    nuclei[10:12, 19] = 3
    return cells, nuclei


def test_distances_are_zero_between_touching_cells_and_fall_outside():
    cells, _ = _squares()
    row = signed_distance(cells, UNIT)[4]
    cell = [0.5, 1.5, 2.5, 2.5, 1.5, 0.5]
    assert row[:15].tolist() == [-1.5, -0.5, *cell, *cell, -0.5]
    assert_array_equal(signed_distance(cells, (0.5, 0.5))[4], row / 2)


def test_a_face_of_the_image_is_no_border():
    cells, _ = _squares()
    assert signed_distance(cells, UNIT)[10, 17:].tolist() == [0.5, 1.5, 2.5]
    assert (signed_distance(np.ones((4, 4), int), UNIT) > 100).all()
    assert (signed_distance(np.zeros((4, 4), int), UNIT) < -100).all()


@pytest.mark.parametrize("spacing", [UNIT, (0.5, 0.5)])
def test_labels_become_distances_and_labels_again(spacing):
    cells, nuclei = _squares()
    drawn = draw(fields_of(cells, nuclei, spacing, 3.0), spacing, OPEN | {"area": (1.0, 1e6)})
    assert_array_equal(drawn.cells, cells)
    assert_array_equal(drawn.nuclei, nuclei)
    assert not any(drawn.rejected.values())


def test_a_nucleus_has_the_number_of_its_cell_also_where_others_are_rejected():
    cells, nuclei = _squares()
    nuclei[4:6, 4:6] = 0
    drawn = draw(fields_of(cells, nuclei, UNIT, 3.0), UNIT, OPEN | {"area": (36.0, 1e6)})
    assert set(np.unique(drawn.cells)) == {0, 1, 2}
    assert (drawn.cells[nuclei > 0] == drawn.nuclei[nuclei > 0]).all()
    assert ((drawn.nuclei > 0) == (nuclei > 0)).all()


def test_volumes_are_drawn_too():
    cells, nuclei = (np.stack([plane * 0, plane, plane, plane * 0]) for plane in _squares())
    assert_array_equal(
        draw(fields_of(cells, nuclei, (1.0, *UNIT), 3.0), (1.0, *UNIT), OPEN).cells, cells
    )


@pytest.mark.parametrize(
    "reason, gate",
    {
        "area": {"area": (4.0, 35.0)},
        "solidity": {"solidity": (0.0, 0.9)},
        "nucleus_share": {"nucleus_share": (0.2, 1.0)},
        "nucleus_solidity": {"nucleus_solidity": (0.0, 0.9)},
    }.items(),
)
def test_each_gate_rejects_whole_cells_alone_and_says_why(gate, reason):
    drawn = draw(fields_of(*_squares(), UNIT, 3.0), UNIT, OPEN | gate)
    assert np.unique(drawn.cells).tolist() == [0, 1]  # the one that a face cuts
    assert {key: n for key, n in drawn.rejected.items() if n} == {reason: 2}


def test_a_cell_needs_a_nucleus_and_a_nucleus_its_cell():
    cells, nuclei = np.zeros((2, 20, 30), int)
    cells[2:8, 2:8] = 1  # without a nucleus
    cells[10:16, 10:16] = 2
    nuclei[12:14, 14:19] = 2  # half of it outside
    cells[2:4, 20:22] = 3  # a scrap
    drawn = draw(fields_of(cells, nuclei, UNIT, 3.0), UNIT, OPEN | {"area": (20.0, 1e6)})
    assert not drawn.cells.any()
    assert {key: n for key, n in drawn.rejected.items() if n} == {
        "no_nucleus": 1,
        "nucleus_outside": 1,
    }
