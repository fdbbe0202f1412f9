"""Measure metrics beside their peers and beside the best that NumPy and SciPy do: same inputs.

Usage: python performance/metrics.py [labels] [objects] [tracking] [points] [images] [wasserstein]

CPU seconds of one thread, medians in one process, two sizes; ratio: theirs over ours, below 1 the
peer is faster. Peers that are not installed are named and left out: `make peers`, and `pip install
fastremap connected-components-3d` for two more.
"""

import contextlib
import io
import os
import platform
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance
from side_by_side import OURS, Row, installed, measure, table
from skimage import metrics as skimage
from skimage.measure import regionprops_table

from cytosuite.contract.tracks import Track
from cytosuite.metrics import metrics_of, psnr, ssim, w1
from cytosuite.metrics.labels.object_table import object_table
from cytosuite.metrics.labels.overlap import OVERLAP, overlap
from cytosuite.metrics.points.matching import matched_points
from cytosuite.metrics.tracks.lineage import TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import score_tracks, write_sequence
from cytosuite.metrics.tracks.tracking import det, lnk, seg, tra
from cytosuite.volume.arrays import Doubles, Floats, Integers

SIZES = {(32, 256, 256): 100, (64, 512, 512): 2000}  # voxels of images and labels, objects
FILMS = {(6, 512): 60, (10, 1024): 300}  # frames and sides, cells
POINTS = (2_000, 32_000)
FILLED = 0.35  # of a volume of labels, before overlaps
SPACING = (1.0, 0.25, 0.25)
PITCH, RADIUS = 56, 18  # of cells in a film
NAMES = ["TRA", "DET", "LNK", "SEG"]
GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
COLUMNS = ("label", "centroid", "area", "extent", "bbox", "intensity_mean", "intensity_max")

Shape = tuple[int, ...]
Calls = dict[str, Callable[[], object]]


def size(shape: Shape) -> str:
    """Return the sides of an image as text."""
    return " x ".join(map(str, shape))


def cells(shape: Shape, count: int) -> NDArray[np.uint16]:
    """Return a volume of that many balls at random places."""
    rng = np.random.default_rng(0)
    labels = np.zeros(shape, np.uint16)
    radius = (FILLED * labels.size / count * 3 / 4 / np.pi) ** (1 / 3)
    reach = int(radius) + 1
    ball = (np.mgrid[(slice(-reach, reach + 1),) * 3] ** 2).sum(0) <= radius**2
    for label, centre in enumerate((rng.random((count, 3)) * shape).astype(int), 1):
        low, high = np.maximum(centre - reach, 0), np.minimum(centre + reach + 1, shape)
        box = tuple(map(slice, low, high))
        inside = ball[tuple(map(slice, low - centre + reach, high - centre + reach))]
        part = labels[box]
        part[inside & (part == 0)] = label
    return labels


def scores(truth: Integers, prediction: Integers) -> str:
    """Return all our scores of the overlap table, the first ones as text."""
    evidence = overlap(truth, prediction)
    values = {m.name: m.of(evidence) for m in metrics_of("labels") if m.evidence is OVERLAP}
    return rounded(values, ["SEG", "DET", "AP50", "PQ"])


def of_py_ctcmetrics(truth: Integers, prediction: Integers) -> str:
    """Return SEG and DET of py-ctcmetrics, with arrays in place of its files."""
    module, technical = (
        installed("ctc_metrics.utils.representations"),
        installed("ctc_metrics.metrics"),
    )
    files = {".": truth, "..": prediction.astype(np.int32)}  # uint16 labels wrap in its sum
    imread, module.tiff = module.tiff, SimpleNamespace(imread=lambda path: files[path].copy())
    try:
        *lists, iou = ([column] for column in module.match(".", ".."))
    finally:
        module.tiff = imread
    counts = module.count_acyclic_graph_correction_operations(None, None, *lists)
    counts["num_vertices"] = int(counts["num_vertices"])
    values = {"SEG": technical.seg(lists[0], iou), "DET": technical.det(**counts)}
    return rounded(values, ["SEG", "DET"])


def codes(truth: Integers, prediction: Integers) -> NDArray[np.int64]:
    """Return a number for each pair of labels, of every voxel."""
    return truth.ravel().astype(np.int64) * (int(prediction.max()) + 1) + prediction.ravel()


def labels() -> list[Row]:
    """Return the rows of all scores of two label volumes; peers make a table or some scores."""
    rows = []
    for shape, count in SIZES.items():
        truth = cells(shape, count)
        programs = _tables(truth, np.roll(truth, (1, 1, 2), (0, 1, 2)))
        rows += measure(f"scores of labels, {size(shape)}, {count} objects", programs)
    return rows


def _tables(truth: Integers, prediction: Integers) -> Calls:
    """Return the programs for scores of labels."""
    programs: Calls = {OURS: lambda: scores(truth, prediction)}
    if installed("ctc_metrics"):
        programs["py-ctcmetrics: SEG, DET"] = lambda: of_py_ctcmetrics(truth, prediction)
    if stardist := installed("stardist.matching"):
        programs["StarDist: one threshold"] = lambda: rounded(
            stardist.matching(truth, prediction, thresh=0.5)._asdict(),
            ["accuracy", "panoptic_quality"],
        )
    contingency = skimage.contingency_table
    programs["scikit-image: table alone"] = lambda: contingency(truth, prediction).nnz
    programs["np.bincount: table alone"] = lambda: np.count_nonzero(
        np.bincount(codes(truth, prediction))
    )
    if remap := installed("fastremap"):
        programs["fastremap: table alone"] = lambda: (
            remap.unique(codes(truth, prediction), return_counts=True)[0].size
        )
    return programs


def objects() -> list[Row]:
    """Return the rows of a table of objects with their intensities; answers: mean volume."""
    rows = []
    for shape, count in SIZES.items():
        image = np.random.default_rng(0).random(shape, np.float32)
        programs = _columns(cells(shape, count), image)
        rows += measure(f"table of objects, {size(shape)}, {count}", programs)
    return rows


def _columns(labels: Integers, image: Floats) -> Calls:
    """Return the programs for a table of objects."""

    def sums() -> float:
        """Return the mean volume; the mean intensities are computed, too."""
        voxels = np.bincount(labels.ravel())
        assert np.all(np.bincount(labels.ravel(), image.ravel())[1:] / voxels[1:] < 1)
        return float(voxels[1:].mean() * np.prod(SPACING))

    def of_skimage() -> float:
        """Return the mean volume by scikit-image."""
        return float(regionprops_table(labels, image, COLUMNS, spacing=SPACING)["area"].mean())

    programs: Calls = {
        OURS: lambda: float(object_table(labels, SPACING, image)["volume_um3"].mean()),
        "scikit-image, same columns": of_skimage,
        "np.bincount: volumes, means": sums,
    }
    if pieces := installed("cc3d"):
        programs["cc3d.statistics: no intensity"] = lambda: float(
            pieces.statistics(labels)["voxel_counts"][1:].mean() * np.prod(SPACING)
        )
    return programs


def films(frames: int, side: int, count: int) -> tuple[TrackedSequence, TrackedSequence]:
    """Return discs that wander, and the same moved by two voxels, some missed or exchanged."""
    rng = np.random.default_rng(0)
    offset = np.arange(-RADIUS, RADIUS + 1)
    disc = offset[:, None] ** 2 + offset**2 <= RADIUS**2
    sites = np.stack(np.divmod(np.arange(count), side // PITCH), axis=1) * PITCH + PITCH // 2
    truth = np.zeros((frames, side, side), np.uint16)
    for frame in truth:
        for label, (y, x) in enumerate(sites + rng.integers(-6, 7, sites.shape), 1):
            frame[y - RADIUS : y + RADIUS + 1, x - RADIUS : x + RADIUS + 1][disc] = label
    moved = np.roll(truth, 2, axis=2)
    names = np.arange(count + 1)
    names[[7, 8]] = 8, 7
    moved[frames // 2 :] = names.astype(np.uint16)[moved[frames // 2 :]]
    missed = moved[frames - 1]
    missed[missed % 20 == 1] = 0
    tracks = [Track(label, 0, frames - 1) for label in range(1, count + 1)]
    ends = [Track(t.label, 0, frames - 1 - (t.label % 20 == 1)) for t in tracks]
    return TrackedSequence(tracks, truth), TrackedSequence(ends, moved)


def rounded(values: dict[str, Any], names: list[str]) -> str:
    """Return scores as text."""
    return " ".join(f"{name} {float(values[name]):.6f}" for name in names)


def from_files(
    title: str, both: tuple[TrackedSequence, TrackedSequence], folder: Path
) -> list[Row]:
    """Measure the scores of two folders; py-ctcmetrics reads files only."""
    places = folder / "01_GT", folder / "01_RES"
    for place, film in zip(places, both, strict=True):
        write_sequence(place, film.frames, film.tracks, truth=place.name.endswith("GT"))
    programs: Calls = {OURS: lambda: rounded(score_tracks(*places, NAMES), NAMES)}
    if evaluate := installed("ctc_metrics.scripts.evaluate"):

        def peer() -> str:
            """Return the scores of py-ctcmetrics."""
            words = str(places[1]), str(places[0]), list(NAMES)
            with contextlib.redirect_stdout(io.StringIO()):
                return rounded(evaluate.evaluate_sequence(*words, threads=1), NAMES)

        programs["py-ctcmetrics"] = peer
    return measure(f"{title}, from files", programs)


def in_memory(title: str, both: tuple[TrackedSequence, TrackedSequence]) -> list[Row]:
    """Measure the scores of sequences; traccuracy is given its graphs, without SEG."""

    def ours() -> str:
        """Return our scores."""
        tracks = match_tracks(*both)
        return rounded({m.name: m.of(tracks) for m in (tra, det, lnk, seg)}, NAMES)

    programs: Calls = {OURS: ours}
    if peer := installed("traccuracy"):
        matchers, metrics = installed("traccuracy.matchers"), installed("traccuracy.metrics")
        graphs = [traccuracy_graph(peer, film) for film in both]

        def theirs() -> str:
            """Return the scores of traccuracy."""
            matched = matchers.CTCMatcher().compute_mapping(*graphs)
            return rounded(metrics.CTCMetrics().compute(matched).results, NAMES[:3])

        programs["traccuracy: no SEG"] = theirs
    return measure(f"{title}, in memory", programs)


def traccuracy_graph(peer: Any, film: TrackedSequence) -> Any:  # noqa: ANN401
    """Return a film as a graph of traccuracy: vertex 1000 L + T for label L in frame T."""
    from scipy.ndimage import find_objects

    graph = installed("networkx").DiGraph()
    places = [find_objects(film.frames[t]) for t in range(len(film.frames))]
    for track in film.tracks:
        for t in range(track.begin, track.end + 1):
            y, x = places[t][track.label - 1]
            graph.add_node(
                1000 * track.label + t,
                t=t,
                segmentation_id=track.label,
                y=(y.start + y.stop) / 2,
                x=(x.start + x.stop) / 2,
                bbox=[y.start, x.start, y.stop, x.stop],
            )
            if t > track.begin:
                graph.add_edge(1000 * track.label + t - 1, 1000 * track.label + t)
    return peer.TrackingGraph(graph, segmentation=film.frames, location_keys=("y", "x"))


def tracking() -> list[Row]:
    """Return the rows of tracked cells."""
    rows = []
    for (frames, side), count in FILMS.items():
        both = films(frames, side, count)
        title = f"TRA DET LNK SEG, {size((frames, side, side))}, {count} cells"
        with tempfile.TemporaryDirectory() as folder:
            rows += from_files(title, both, Path(folder)) + in_memory(title, both)
    return rows


def points() -> list[Row]:
    """Return the rows of pairs of points, one to one: the most, then the nearest ones."""
    rows = []
    for count in POINTS:
        rng = np.random.default_rng(0)
        truth = rng.uniform(0, 12 * count**0.5, (count, 2))
        programs = _pairs(truth, truth + rng.normal(0, 1, truth.shape))
        rows += measure(f"pairs of {count:,} points", programs)
    return rows


def _pairs(truth: Doubles, prediction: Doubles) -> Calls:
    """Return the programs for the number of pairs of points at most three apart."""

    def dense() -> int:
        """Return the pairs of an assignment of all points to all, where far ones cost alike."""
        away = cdist(truth, prediction)
        away[away > 3] = 1e6
        return int((away[linear_sum_assignment(away)] <= 3).sum())

    def nearest() -> int:
        """Return how many have a point near them, which may be that of another."""
        away, _ = KDTree(prediction).query(truth, distance_upper_bound=3)
        return int(np.isfinite(away).sum())

    programs: Calls = {
        OURS: lambda: matched_points(truth, prediction, (1.0, 1.0)).truth_index.size,
        "SciPy, KD tree: nearest, not one to one": nearest,
    }
    if len(truth) < 10_000:  # else 8 GB
        programs["SciPy, dense assignment"] = dense
    return programs


def images() -> list[Row]:
    """Return the rows of a pair of float32 volumes, checking included."""
    rows = []
    for shape in SIZES:
        rng = np.random.default_rng(0)
        truth = rng.random(shape, np.float32)
        truth += np.sin(np.arange(shape[2], dtype=np.float32) / 20)
        prediction = truth + np.float32(0.1) * rng.standard_normal(shape, np.float32)
        rows += measure(f"SSIM, {size(shape)} float32", _similarity(truth, prediction))
        rows += measure(f"PSNR, {size(shape)} float32", _noise(truth, prediction))
        whole = [(1000 * image + 2000).astype(np.uint16) for image in (truth, prediction)]
        rows += measure(f"PSNR, {size(shape)} uint16", _noise(*whole))
    return rows


def _noise(truth: NDArray[Any], prediction: NDArray[Any]) -> Calls:
    """Return the programs for PSNR."""
    return {
        OURS: lambda: psnr(truth, prediction, data_range=1.0),
        "scikit-image": lambda: skimage.peak_signal_noise_ratio(truth, prediction, data_range=1.0),
        "NumPy": lambda: -10 * np.log10(np.mean((truth.astype(float) - prediction) ** 2)),
    }


def _similarity(truth: Floats, prediction: Floats) -> Calls:
    """Return the programs for SSIM."""
    both = truth, prediction
    programs: Calls = {
        OURS: lambda: ssim(truth, prediction, data_range=1.0),
        "scikit-image": lambda: skimage.structural_similarity(*both, data_range=1.0, **GAUSSIAN),
    }
    if (torch := installed("torch")) is None:
        return programs
    torch.set_num_threads(1)
    t, p = (torch.from_numpy(volume)[None, None] for volume in both)
    if monai := installed("monai.metrics"):
        index = monai.SSIMMetric(spatial_dims=3, data_range=1.0)
        programs["MONAI"] = lambda: float(index(p, t))
    if functional := installed("torchmetrics.functional.image"):
        padded = functional.structural_similarity_index_measure
        programs["torchmetrics, which pads"] = lambda: float(padded(p, t, data_range=1.0))
    return programs


def wasserstein(*shapes: Shape) -> list[Row]:
    """Return the rows of dark skies with a bright tail, as fluorescence is."""

    def of_counts(first: Integers, second: Integers) -> float:
        """Return the distance of whole numbers by the sums of their histograms."""
        top = int(max(first.max(), second.max())) + 1
        shares = [
            np.bincount(values.ravel(), minlength=top) / values.size for values in (first, second)
        ]
        return float(np.abs(np.cumsum(shares[0] - shares[1])).sum())

    def of_sorted(first: Floats, second: Floats) -> float:
        """Return the distance of as many values by their order."""
        apart = np.sort(first, axis=None) - np.sort(second, axis=None)
        return float(np.mean(np.abs(apart), dtype=float))

    rows = []
    for shape in shapes or SIZES:
        rng = np.random.default_rng(0)
        first, second = (rng.gamma(form, 100.0, shape) for form in (2.0, 2.2))
        whole = first.astype(np.uint16), second.astype(np.uint16)
        float32 = first.astype(np.float32), second.astype(np.float32)
        for name, both, peer, direct in (
            ("uint16", whole, "np.bincount", partial(of_counts, *whole)),
            ("float32", float32, "np.sort", partial(of_sorted, *float32)),
        ):
            theirs = partial(wasserstein_distance, *(image.ravel() for image in both))
            programs: Calls = {OURS: partial(w1, *both), "SciPy": theirs, peer: direct}
            rows += measure(f"W1, {size(shape)} {name}", programs)
    return rows


PARTS: dict[str, Callable[[], list[Row]]] = {
    **{"labels": labels, "objects": objects, "tracking": tracking},
    **{"points": points, "images": images, "wasserstein": wasserstein},
}


def main() -> None:
    """Print one table."""
    warnings.simplefilter("ignore")  # traccuracy warns in the middle of its progress bars
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(table(row for part in sys.argv[1:] or PARTS for row in PARTS[part]()))


if __name__ == "__main__":
    os.environ |= {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    main()
