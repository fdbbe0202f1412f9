"""Scores of a tracking result on disk."""

from collections.abc import Sequence
from pathlib import Path

from cytosuite.errors import InputError
from cytosuite.metrics.metric import metrics_of
from cytosuite.metrics.tracks.matched_tracks import match_tracks
from cytosuite.metrics.tracks.track_folder import open_sequence


def score_tracks(
    truth_folder: Path,
    result_folder: Path,
    names: Sequence[str] = (),
    *,
    stack_planes: bool = False,
) -> dict[str, float]:
    """Return the scores of a result folder of the Cell Tracking Challenge.

    Parameters
    ----------
    truth_folder : Path
        A truth, such as ``01_GT``, see `cytosuite.metrics.tracks.track_folder`.
    result_folder : Path
        A result, such as ``01_RES``.
    names : sequence of str
        Names of metrics of tracks, such as ``TRA``; none for all.
    stack_planes : bool
        Whether the planes drawn in one frame of a truth are one image for SEG.

    Returns
    -------
    dict of str to float
        Value by name, in the order of `names`; NaN where a metric is undefined.

    Raises
    ------
    InputError
        If a name is unknown, or anything in the folders contradicts the format: one line names
        all of it. Every frame is read once.
    """
    metrics = {metric.name: metric for metric in metrics_of("tracks")}
    unknown = [name for name in names if name not in metrics]
    if unknown:
        raise InputError(
            f"no metric of tracks is called {', '.join(unknown)}; there are {', '.join(metrics)}"
        )
    for folder, table in ((truth_folder, "TRA"), (result_folder, "res_track.txt")):
        if not (folder / table).exists():
            raise InputError(f"{folder}: {table} is missing; expected it in this folder")
    truth = open_sequence(truth_folder, stack_planes=stack_planes)
    tracks = match_tracks(truth, open_sequence(result_folder))
    return {name: metrics[name].of(tracks) for name in names or metrics}
