"""Scripts that compare with peers: all programs have the same inputs, and their tables print."""

import metrics
import numpy as np
import planes
import side_by_side


def test_a_plane_of_nuclei_has_as_many_as_wanted():
    areas = np.bincount(planes.nuclei(200, 12).ravel())[1:]
    assert len(areas) == 12
    assert areas.min() > 0.9 * 50


def test_metrics_and_their_peers_are_one_table(monkeypatch):
    monkeypatch.setattr(metrics, "SHAPE", (12, 32, 32))
    rows = metrics.images() + metrics.wasserstein((4, 8, 8))
    text = side_by_side.table(rows)
    ours = [row for row in rows if row.program == "cytosuite"]
    assert len(ours) == 4
    assert np.isclose(float(ours[1].value), float(rows[-5].value))
    assert len(text.splitlines()) == len(rows) + 1
