"""Measure metrics against their peers: the same inputs, one process, medians.

Usage: python performance/metrics.py [labels] [tracking] [images] [wasserstein]

Peers that are not installed are named and left out; `make peers` installs them. Compilation is
left out. Peak memory of image pairs is the growth of the process, so that torch's is seen too
(Linux only).
"""

import contextlib
import importlib
import io
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from side_by_side import Row, measure, peak_mib, start_peak, table

from cytosuite.metrics import (
    assd,
    metrics_of,
    ssim,
    w1,
)
from cytosuite.metrics.labels.overlap import OVERLAP, overlap
from cytosuite.metrics.tracks.lineage import Track, TrackedSequence
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import score_tracks, write_sequence
from cytosuite.metrics.tracks.tracking import det, lnk, seg, tra
from cytosuite.volume.arrays import Integers

OURS = "cytosuite"
SHAPE = (64, 512, 512)
FILLED = 0.35  # of a volume of labels, before overlaps
SPACING = (1.0, 0.25, 0.25)
FRAMES, SIDE, PITCH, RADIUS, CELLS = 10, 1024, 56, 18, 300
NAMES = ["TRA", "DET", "LNK", "SEG"]
TURNS = 5
GAUSSIAN = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}

Labels = Integers
Programs = dict[str, tuple[Callable[[], Any], int]]  # and how often to run


def module(name: str) -> Any:  # noqa: ANN401
    """Return a module, None where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


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


def labels() -> list[Row]:
    """Return the rows of label volumes, in two minutes and 4 GiB."""
    found = []
    for count in (500, 5000):
        truth = cells(count)
        prediction = np.roll(truth, (1, 1, 2), (0, 1, 2))
        work = f"{count} objects, uint16"
        found += measure(work, {OURS: partial(scores, truth, prediction)}, repeats=9)
        for name, (package, run) in PEERS.items():
            if module(package) is None:
                found.append(Row(work, f"{package} is not installed", np.nan, np.nan, ""))
            else:
                found += measure(work, {name: partial(run, truth, prediction)}, repeats=1)
        run = partial(distances, truth, prediction)
        found += measure(f"ASSD, {count} objects", {OURS: run})
    truth = cells(100_000, np.uint32)
    prediction = np.roll(truth, (1, 1, 2), (0, 1, 2))
    found += measure("100,000 objects, uint32", {OURS: partial(scores, truth, prediction)})
    return found


def films() -> tuple[TrackedSequence, TrackedSequence]:
    """Return discs that wander, and the same moved by two voxels, some missed or exchanged."""
    rng = np.random.default_rng(0)
    offset = np.arange(-RADIUS, RADIUS + 1)
    disc = offset[:, None] ** 2 + offset**2 <= RADIUS**2
    sites = np.stack(np.divmod(np.arange(CELLS), SIDE // PITCH), axis=1) * PITCH + PITCH // 2
    truth = np.zeros((FRAMES, SIDE, SIDE), np.uint16)
    for frame in truth:
        for label, (y, x) in enumerate(sites + rng.integers(-6, 7, sites.shape), 1):
            frame[y - RADIUS : y + RADIUS + 1, x - RADIUS : x + RADIUS + 1][disc] = label
    found = np.roll(truth, 2, axis=2)
    names = np.arange(CELLS + 1)
    names[[7, 8]] = 8, 7
    found[5:] = names.astype(np.uint16)[found[5:]]
    missed = found[FRAMES - 1]
    missed[missed % 20 == 1] = 0
    tracks = [Track(label, 0, FRAMES - 1) for label in range(1, CELLS + 1)]
    ends = [Track(t.label, 0, FRAMES - 1 - (t.label % 20 == 1)) for t in tracks]
    return TrackedSequence(tracks, truth), TrackedSequence(ends, found)


def rounded(scores: dict[str, Any], names: list[str]) -> str:
    """Return scores as text."""
    return " ".join(f"{name} {float(scores[name]):.6f}" for name in names)


def from_files(folder: Path) -> list[Row]:
    """Measure the scores of two folders; py-ctcmetrics reads files only."""
    truth, found = films()
    write_sequence(folder / "01_GT", truth.frames, truth.tracks, truth=True)
    write_sequence(folder / "01_RES", found.frames, found.tracks)
    places = folder / "01_GT", folder / "01_RES"
    programs: dict[str, Callable[[], Any]] = {
        OURS: lambda: rounded(score_tracks(*places, NAMES), NAMES)
    }
    if evaluate := module("ctc_metrics.scripts.evaluate"):

        def peer() -> str:
            """Return the scores of py-ctcmetrics."""
            words = str(folder / "01_RES"), str(folder / "01_GT"), list(NAMES)
            with contextlib.redirect_stdout(io.StringIO()):
                return rounded(evaluate.evaluate_sequence(*words, threads=1), NAMES)

        programs["py-ctcmetrics"] = peer
    return measure("TRA DET LNK SEG, 10 x 1024^2, files", programs)


def in_memory() -> list[Row]:
    """Measure the scores of sequences; traccuracy is given its graphs, without SEG."""
    truth, found = films()

    def ours() -> str:
        """Return our scores."""
        tracks = match_tracks(truth, found)
        return rounded({m.name: m.of(tracks) for m in (tra, det, lnk, seg)}, NAMES)

    programs: dict[str, Callable[[], Any]] = {OURS: ours}
    if peer := module("traccuracy"):
        matchers, metrics = module("traccuracy.matchers"), module("traccuracy.metrics")
        graphs = [traccuracy_graph(peer, film) for film in (truth, found)]

        def theirs() -> str:
            """Return the scores of traccuracy."""
            matched = matchers.CTCMatcher().compute_mapping(*graphs)
            return rounded(metrics.CTCMetrics().compute(matched).results, NAMES[:3])

        programs["traccuracy (no SEG)"] = theirs
    return measure("TRA DET LNK SEG, 10 x 1024^2, memory", programs)


def traccuracy_graph(peer: Any, film: TrackedSequence) -> Any:  # noqa: ANN401
    """Return a film as a graph of traccuracy: vertex 1000 L + T for label L in frame T."""
    import networkx
    from scipy.ndimage import find_objects

    graph = networkx.DiGraph()
    places = [find_objects(film.frames[t]) for t in range(FRAMES)]
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
    """Return the rows of a tracking of 300 cells through 10 frames of 1024 x 1024."""
    with tempfile.TemporaryDirectory() as folder:
        return from_files(Path(folder)) + in_memory()


def images() -> list[Row]:
    """Return the rows of a pair of float32 volumes."""
    rng = np.random.default_rng(0)
    truth = rng.random(SHAPE, np.float32)
    truth += np.sin(np.arange(SHAPE[2], dtype=np.float32) / 20)
    prediction = truth + np.float32(0.1) * rng.standard_normal(SHAPE, np.float32)
    size = "x".join(map(str, SHAPE))
    return in_turns(f"SSIM 3D {size} float32", _similarity(truth, prediction))


def _similarity(truth: Any, prediction: Any) -> Programs:  # noqa: ANN401
    """Return the programs for the similarity, checking included."""
    programs: Programs = {OURS: (lambda: ssim(truth, prediction, data_range=1.0), TURNS)}
    theirs = module("skimage.metrics")
    programs["scikit-image float32"] = (
        lambda: theirs.structural_similarity(truth, prediction, data_range=1.0, **GAUSSIAN),
        TURNS,
    )
    torch = module("torch")
    if torch is None:
        return programs
    torch.set_num_threads(2)
    t, p = (torch.from_numpy(volume)[None, None] for volume in (truth, prediction))
    if monai := module("monai.metrics"):
        measure = monai.SSIMMetric(spatial_dims=3, data_range=1.0)
        programs["MONAI"] = (lambda: float(measure(p, t)), 1)
    if functional := module("torchmetrics.functional.image"):
        index = functional.structural_similarity_index_measure
        programs["torchmetrics (pads)"] = (lambda: float(index(p, t, data_range=1.0)), 1)
    if separable := module("pytorch_msssim"):
        programs["pytorch-msssim"] = (lambda: float(separable.ssim(p, t, data_range=1.0)), 2)
    return programs


def in_turns(work: str, programs: Programs) -> list[Row]:
    """Return a row per program."""
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    peaks, values = dict.fromkeys(programs, 0.0), {}
    next(iter(programs.values()))[0]()  # compiles
    for turn in range(TURNS):
        for name, (run, turns) in programs.items():
            if turn < turns:
                held = start_peak()
                begin = time.perf_counter()
                values[name] = run()
                seconds[name].append(time.perf_counter() - begin)
                peaks[name] = max(peaks[name], peak_mib() - held)
    return [
        Row(work, name, statistics.median(seconds[name]), peaks[name], str(values[name]))
        for name in programs
    ]


def wasserstein(shape: tuple[int, ...] = SHAPE) -> list[Row]:
    """Return the rows of dark skies with a bright tail, as fluorescence is; SciPy sorts both."""
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(0)
    first, second, again = (rng.gamma(shape_of, 100.0, shape) for shape_of in (2.0, 2.2, 2.0))
    volumes = {
        "uint16": (first.astype(np.uint16), second.astype(np.uint16)),
        "float32": (first.astype(np.float32), second.astype(np.float32)),
        "float32, one distribution": (first.astype(np.float32), again.astype(np.float32)),
    }
    found: list[Row] = []
    for name, (real, synthetic) in volumes.items():
        work = f"W1 of 2 x {real.size / 1e6:.1f} M voxels, {name}"
        found += measure(work, {OURS: partial(w1, real, synthetic)}, repeats=5)
        peer = partial(wasserstein_distance, real.ravel(), synthetic.ravel())
        found += measure(work, {"scipy": peer}, repeats=1, warm_up=False)
    return found


PARTS = {"labels": labels, "tracking": tracking, "images": images, "wasserstein": wasserstein}


def main() -> None:
    """Print one table."""
    warnings.simplefilter("ignore")  # traccuracy warns in the middle of its progress bars
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(table([row for part in sys.argv[1:] or PARTS for row in PARTS[part]()]))


if __name__ == "__main__":
    main()
