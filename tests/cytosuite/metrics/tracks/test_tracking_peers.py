"""Agreement with other programs wherever these are right, and where they are not."""

import contextlib
import io
import warnings

import films
import numpy as np
import pytest

from cytosuite.metrics import metrics_of
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import write_sequence
from cytosuite.metrics.tracks.tracking import det, lnk, tra
from cytosuite.metrics.tracks.tracking_errors import aogm

NAMES = {metric.name: metric for metric in metrics_of("tracks")}
SEEDS = range(12)
PEER = {
    **{name: f"AOGM_{name}" for name in ("NS", "FN", "FP", "ED", "EA", "EC")},
    **{f"BC{frames}": f"BC({frames})" for frames in range(4)},
    "BIO": "BIO(2)",
    "OP_CLB": "OP_CLB(2)",
}

pytestmark = pytest.mark.slow  # the peers take their time


def peer_scores(folder, truth, found):
    """Return all scores of py-ctcmetrics by our names (it needs files)."""
    evaluate = pytest.importorskip(
        "ctc_metrics.scripts.evaluate", reason="py-ctcmetrics is not installed"
    )
    write_sequence(folder / "01_GT", truth.frames, truth.tracks, truth=True)
    write_sequence(folder / "01_RES", found.frames, found.tracks)
    wanted = ["SEG", "TRA", "DET", "LNK", "CT", "TF", "BC", "CCA", "BIO"]
    wanted += ["OP_CLB", "OP_CSB", "OP_CTB"]
    with contextlib.redirect_stdout(io.StringIO()):
        scores = evaluate.evaluate_sequence(
            str(folder / "01_RES"), str(folder / "01_GT"), wanted, threads=1
        )
    ours = set(NAMES) - {"DET_NFP"}
    values = {name: scores[PEER.get(name, name)] for name in ours}
    return {name: np.nan if value is None else float(value) for name, value in values.items()}


@pytest.mark.parametrize("seed", SEEDS)
def test_agrees_with_py_ctcmetrics(tmp_path, seed):
    truth = films.simulate(seed)
    found = films.corrupt(truth, seed, rate=0.03 + 0.01 * seed)
    expected = peer_scores(tmp_path, truth, found)
    tracks = match_tracks(truth, found)
    values = {name: NAMES[name].of(tracks) for name in expected}
    assert values == pytest.approx(expected, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    "film",
    [films.rejoined, films.division, films.one_daughter, films.one_track],
    ids=lambda film: film.__name__,
)
def test_agrees_with_py_ctcmetrics_on_links_by_hand(tmp_path, film):
    found = films.padded(film())
    truth = films.division() if film in (films.division, films.one_daughter) else films.one_track()
    expected = peer_scores(tmp_path, films.padded(truth), found)
    for metric in (tra, lnk, det, aogm):
        assert metric(films.padded(truth), found) == pytest.approx(expected[metric.name])


def traccuracy_graph(networkx, film):
    """Return a film as traccuracy wants it: vertex 1000 L + T for label L in frame T."""
    graph = networkx.DiGraph()
    ends = {track.label: 1000 * track.label + track.end for track in film.tracks}
    for track in film.tracks:
        for t in range(track.begin, track.end + 1):
            place = np.argwhere(film.frames[t] == track.label)
            low, high = place.min(axis=0).tolist(), (place.max(axis=0) + 1).tolist()
            (y, x), vertex = place.mean(axis=0), 1000 * track.label + t
            graph.add_node(vertex, t=t, segmentation_id=track.label, y=y, x=x, bbox=low + high)
            if t > track.begin:
                graph.add_edge(vertex - 1, vertex)
        if track.parent:
            graph.add_edge(ends[track.parent], 1000 * track.label + track.begin)
    return graph


def traccuracy_scores(truth, found):
    """Return DET, TRA and LNK of traccuracy."""
    reason = "traccuracy is not installed"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("traccuracy", reason=reason)
        networkx = pytest.importorskip("networkx")
        from traccuracy import TrackingGraph
        from traccuracy.matchers import CTCMatcher
        from traccuracy.metrics import CTCMetrics

        graphs = [
            TrackingGraph(
                traccuracy_graph(networkx, film),
                segmentation=np.stack(list(film.frames)).astype(np.uint16),
                location_keys=("y", "x"),
            )
            for film in (truth, found)
        ]
        matched = CTCMatcher().compute_mapping(*graphs)
        return CTCMetrics().compute(matched).results


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_traccuracy_without_gaps_and_merged_triples(seed):
    truth = films.simulate(seed, gaps=False)
    found = films.without_families_of(truth, [1, 2])
    expected = traccuracy_scores(truth, found)
    for metric in (det, tra, lnk):
        assert metric(truth, found) == pytest.approx(expected[metric.name], abs=1e-9)


@pytest.mark.parametrize(
    ("pair", "name", "theirs", "ours"),
    [
        (films.three_merged, "DET", 5 / 6, 2 / 3),
        (lambda: (films.one_track(), films.rejoined()), "TRA", 1.0, 1 - 1 / 33),
        (lambda: (films.division(), films.one_daughter()), "TRA", 1 - 2.5 / 67.5, 1 - 1.5 / 67.5),
    ],
    ids=["merged triple", "rejoined track", "one daughter"],
)
def test_traccuracy_deviates_from_the_definition(pair, name, theirs, ours):
    truth, found = (films.padded(film) for film in pair())
    assert NAMES[name](truth, found) == pytest.approx(ours)
    assert traccuracy_scores(truth, found)[name] == pytest.approx(theirs)
