import threading

import numpy as np
import pytest

from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.algorithms.watershed.segment import segment
from cytosuite.volume import pieces as module
from cytosuite.volume.pieces import cores, parts_of, side_by_side


def test_the_cores_are_limited_by_the_threads_of_libraries(monkeypatch):
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: range(8), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert cores() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    assert cores() == 8
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    assert cores() == 8


def test_parts_are_worked_on_at_the_same_time_and_stay_in_order(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 2)
    meeting = threading.Barrier(2, timeout=300)
    assert side_by_side(lambda part: (meeting.wait() >= 0) * part, [5, 7]) == [5, 7]


def test_a_mistake_in_a_part_is_raised(monkeypatch):
    monkeypatch.setattr(module, "cores", lambda: 2)
    with pytest.raises(ZeroDivisionError):
        side_by_side(lambda part: 1 / part, [1, 0])


def test_parts_cover_an_image():
    whole = np.zeros((7, 3, 2), int)
    for part in parts_of(whole.shape, 12):
        whole[part] += 1
    assert (whole == 1).all()


def test_labels_are_the_same_on_any_number_of_cores(monkeypatch, rng):
    image = rng.poisson(5, (20, 64, 64)).astype(np.uint16)
    for z, y, x in rng.integers(4, (16, 60, 60), (40, 3)):
        image[z - 2 : z + 3, y - 3 : y + 4, x - 3 : x + 4] += rng.integers(20, 90, dtype=np.uint16)
    monkeypatch.setattr(module, "PART", 4096)
    monkeypatch.setattr(module.parts_of, "__defaults__", (4096,))
    labels = []
    for number in (1, 3):
        monkeypatch.setenv("OMP_NUM_THREADS", str(number))
        monkeypatch.setattr(module, "cores", lambda number=number: number)
        labels.append(segment(image, (1.0, 1.0, 1.0), Parameters(radii_um=(3.0,), local_um=5.0)))
    assert labels[0].max() > 10
    np.testing.assert_array_equal(labels[0], labels[1])
