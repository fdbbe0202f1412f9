"""Scores of label volumes of 64 x 512 x 512 voxels, and those of other programs on the same arrays.

Ours are all scores of the overlap table; the others give some of them each. Compilation is left
out, as it happens once per machine: its own row states it.
"""

import importlib
import os
import subprocess
import sys
import tempfile
import time
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from side_by_side import Row, measure, table

from cytosuite.metrics import assd, metrics_of
from cytosuite.metrics.labels.jaccard import aji_plus
from cytosuite.metrics.labels.overlap import OVERLAP, overlap

SHAPE = (64, 512, 512)
FILLED = 0.35  # of the volume, before overlaps
SPACING = (1.0, 0.25, 0.25)
OURS = "cytosuite"
COMPILE = (
    "import numpy as np; from cytosuite.metrics.labels.overlap import overlap; "
    "a = np.ones((2, 9), np.uint16)"
)

Labels = NDArray[np.integer[Any]]


def cells(count: int, dtype: type[np.integer[Any]] = np.uint16) -> Labels:
    """Return a volume of that many balls at random places."""
    rng = np.random.default_rng(0)
    labels = np.zeros(SHAPE, dtype)
    radius = (FILLED * labels.size / count * 3 / 4 / np.pi) ** (1 / 3)
    reach = int(radius) + 1
    ball = (np.mgrid[(slice(-reach, reach + 1),) * 3] ** 2).sum(0) <= radius**2
    for label, centre in enumerate((rng.random((count, 3)) * SHAPE).astype(int), 1):
        low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, SHAPE)
        box = tuple(map(slice, low, high))
        inside = ball[tuple(map(slice, low - centre + reach, high - centre + reach))]
        part = labels[box]
        part[inside & (part == 0)] = label
    return labels


def scores(truth: Labels, prediction: Labels) -> str:
    """Return all our scores of the overlap table, the first ones as text."""
    evidence = overlap(truth, prediction)
    found = {m.name: m.of(evidence) for m in metrics_of("labels") if m.evidence is OVERLAP}
    return ", ".join(f"{name} {found[name]:.6f}" for name in ("SEG", "DET", "AP50", "PQ"))


def pairs(truth: Labels, prediction: Labels) -> str:
    """Return the number of overlapping pairs."""
    return f"{overlap(truth, prediction).shared.size} pairs"


def one_to_one(truth: Labels, prediction: Labels) -> str:
    """Return the aggregated Jaccard index of partners used once, which needs an assignment."""
    return f"AJI+ {aji_plus(overlap(truth, prediction)):.6f}"


def distances(truth: Labels, prediction: Labels) -> str:
    """Return the mean distance of the surfaces of all matched objects."""
    return f"ASSD {assd(truth, prediction, SPACING):.6f} µm"


def of_py_ctcmetrics(truth: Labels, prediction: Labels) -> str:
    """Return SEG and DET of py-ctcmetrics, with arrays in place of its files."""
    module: Any = importlib.import_module("ctc_metrics.utils.representations")
    technical = importlib.import_module("ctc_metrics.metrics")
    files = {".": truth, "..": prediction.astype(np.int32)}  # uint16 labels wrap in its sum
    imread, module.tiff = module.tiff, SimpleNamespace(imread=lambda path: files[path].copy())
    try:
        *lists, iou = ([column] for column in module.match(".", ".."))
    finally:
        module.tiff = imread
    counts = module.count_acyclic_graph_correction_operations(None, None, *lists)
    counts["num_vertices"] = int(counts["num_vertices"])
    return f"SEG {technical.seg(lists[0], iou):.6f}, DET {technical.det(**counts):.6f}"


def of_stardist(truth: Labels, prediction: Labels) -> str:
    """Return average precision and panoptic quality of StarDist at one threshold."""
    matching = importlib.import_module("stardist.matching").matching
    found = matching(truth, prediction, thresh=0.5)
    return f"AP50 {found.accuracy:.6f}, PQ {found.panoptic_quality:.6f}"


def of_skimage(truth: Labels, prediction: Labels) -> str:
    """Return the sum of the sparse contingency table of scikit-image: a table, no score."""
    found = importlib.import_module("skimage.metrics").contingency_table(truth, prediction)
    return f"{found.nnz} pairs"


PEERS = {
    "py-ctcmetrics (SEG, DET)": ("ctc_metrics", of_py_ctcmetrics),
    "StarDist (one threshold)": ("stardist", of_stardist),
    "scikit-image (table only)": ("skimage", of_skimage),
}


def peers(work: str, truth: Labels, prediction: Labels) -> list[Row]:
    """Return a row for each peer, or a line that says it is not there."""
    rows = []
    for name, (module, run) in PEERS.items():
        try:
            importlib.import_module(module)
        except ImportError as error:
            rows.append(Row(work, name, float("nan"), float("nan"), f"not installed: {error}"))
        else:
            rows += measure(work, {name: partial(run, truth, prediction)}, repeats=1)
    return rows


def compilation() -> Row:
    """Return how long the first call takes on a machine, less that of a later start."""
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(2):
            begin = time.perf_counter()
            subprocess.run(
                [sys.executable, "-c", f"{COMPILE}; overlap(a, a)"],
                check=True,
                cwd=Path(__file__).parents[1],
                env=os.environ | {"NUMBA_CACHE_DIR": folder},
            )
            seconds.append(time.perf_counter() - begin)
    note = f"uint16; {seconds[1]:.2f} s at each later start, imports included"
    return Row("compilation, once per machine", OURS, seconds[0] - seconds[1], 0.0, note)


def rows() -> list[Row]:
    """Return all rows, in two minutes and 4 GiB."""
    warnings.simplefilter("ignore")
    found = [compilation()]
    for count in (500, 5000):
        truth = cells(count)
        prediction = np.roll(truth, (1, 1, 2), (0, 1, 2))
        work = f"{count} objects, uint16"
        found += measure(work, {OURS: partial(scores, truth, prediction)}, repeats=9)
        found += peers(work, truth, prediction)
        for name, run in {"overlap table": pairs, "AJI+": one_to_one, "ASSD": distances}.items():
            found += measure(f"{name}, {count} objects", {OURS: partial(run, truth, prediction)})
    truth = cells(100_000, np.uint32)
    prediction = np.roll(truth, (1, 1, 2), (0, 1, 2))
    found += measure("100,000 objects, uint32", {OURS: partial(scores, truth, prediction)})
    noise = np.random.default_rng(0).integers(0, 30_000, (2, *SHAPE), np.uint16)
    return found + measure("overlap table, noise of 30,000 labels", {OURS: partial(pairs, *noise)})


if __name__ == "__main__":
    print(table(rows()))
