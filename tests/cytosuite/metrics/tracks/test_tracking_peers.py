"""Agreement with other programs wherever these are right, and where they are not."""

import contextlib
import io

import films
import numpy as np
import pytest

from cytosuite.metrics import metrics_of
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import write_sequence

NAMES = {metric.name: metric for metric in metrics_of("tracks")}
PEER = {
    **{name: f"AOGM_{name}" for name in ("NS", "FN", "FP", "ED", "EA", "EC")},
    **{f"BC{frames}": f"BC({frames})" for frames in range(4)},
    "BIO": "BIO(2)",
    "OP_CLB": "OP_CLB(2)",
}

pytestmark = pytest.mark.slow  # the peers take their time


def peer_scores(folder, truth, result):
    """Return all scores of py-ctcmetrics by our names (it needs files)."""
    evaluate = pytest.importorskip(
        "ctc_metrics.scripts.evaluate", reason="py-ctcmetrics is not installed"
    )
    write_sequence(folder / "01_GT", truth.frames, truth.tracks, truth=True)
    write_sequence(folder / "01_RES", result.frames, result.tracks)
    names = ["SEG", "TRA", "DET", "LNK", "CT", "TF", "BC", "CCA", "BIO"]
    names += ["OP_CLB", "OP_CSB", "OP_CTB"]
    with contextlib.redirect_stdout(io.StringIO()):
        scores = evaluate.evaluate_sequence(
            str(folder / "01_RES"), str(folder / "01_GT"), names, threads=1
        )
    values = {name: scores[PEER.get(name, name)] for name in (set(NAMES) - {"DET_NFP"})}
    return {name: np.nan if value is None else float(value) for name, value in values.items()}


@pytest.mark.parametrize("seed", range(0, 12, 3))
def test_agrees_with_py_ctcmetrics(tmp_path, seed):
    truth = films.simulate(seed)
    result = films.corrupt(truth, seed, rate=0.03 + 0.01 * seed)
    expected = peer_scores(tmp_path, truth, result)
    tracks = match_tracks(truth, result)
    values = {name: NAMES[name].of(tracks) for name in expected}
    assert values == pytest.approx(expected, abs=1e-9, nan_ok=True)
