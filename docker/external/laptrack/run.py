"""laptrack links the centres of labels; STEP_UM, SPLIT_UM: longest step, distance of daughters."""

import os

import numpy as np
import pandas as pd
from case import spacing
from laptrack import LapTrack
from movie import frames, write
from skimage.measure import regionprops_table

STEP_UM, SPLIT_UM = (float(os.environ.get(name, "15")) for name in ("STEP_UM", "SPLIT_UM"))
labels = frames()
voxel = spacing() or None  # pixels
tables = [
    pd.DataFrame(regionprops_table(frame, properties=("label", "centroid"), spacing=voxel))
    for frame in labels
]
cells = pd.concat([table.assign(frame=t) for t, table in enumerate(tables)], ignore_index=True)
tracker = LapTrack(
    cutoff=STEP_UM**2, gap_closing_cutoff=STEP_UM**2, splitting_cutoff=SPLIT_UM**2 or False
)
linked, splits, _ = tracker.predict_dataframe(
    cells,
    [f"centroid-{axis}" for axis in range(labels.ndim - 1)],
    frame_col="frame",
    only_coordinate_cols=False,
)
linked = linked.reset_index(drop=True).sort_values("frame", kind="stable")
mothers = {row.child_track_id: row.parent_track_id for row in splits.itertuples()}
tracked, tracks, last = np.zeros_like(labels), [], {}  # label of the last piece of a track
for name, cell in linked.groupby("track_id", sort=False):  # mothers first
    parent = last.get(mothers.get(name), 0)
    for _, piece in cell.groupby((cell.frame.diff() != 1).cumsum()):  # a track has no gap
        number = len(tracks) + 1
        tracks.append((number, piece.frame.min(), piece.frame.max(), parent))
        for row in piece.itertuples():
            tracked[row.frame][labels[row.frame] == row.label] = number
        parent = last[name] = number
write(tracked, tracks)
