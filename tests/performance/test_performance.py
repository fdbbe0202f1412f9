"""Scripts that compare with peers: all programs have the same inputs, and their tables print."""

from itertools import groupby

import cellpose3d
import filters
import metrics
import numpy as np
import pytest
from side_by_side import table


def test_a_plane_of_nuclei_has_as_many_as_wanted():
    areas = np.bincount(cellpose3d.nuclei(200, 12).ravel())[1:]
    assert len(areas) == 12
    assert areas.min() > 0.9 * 50


@pytest.mark.parametrize("part", ["objects", "points", "images", "wasserstein"])
def test_peers_of_a_metric_have_its_value(part, monkeypatch):
    monkeypatch.setattr(metrics, "SIZES", {(12, 32, 32): 5})
    monkeypatch.setattr(metrics, "POINTS", (50,))
    rows = metrics.PARTS[part]()
    assert len(table(rows).splitlines()) == len(rows) + 2
    for work, programs in groupby(rows, lambda row: row.work):
        ours, *peers = programs
        assert ours.program == metrics.OURS
        assert len(peers) > 1
        for row in peers:  # to pad is another score
            near = 0.1 if "pads" in row.program or "nearest" in row.program else 1e-5
            assert float(row.value) == pytest.approx(float(ours.value), rel=near), (work, row)


def test_filters_are_those_of_scipy():
    rows = filters.rows((16, 64, 64), 4)
    assert {row.value for row in rows if row.work.startswith("Gaussian")} == {"equal: True"}
    assert len({row.work for row in rows}) == 5
