"""The case of an external image that links cells: labels of each frame, the place of its tracks."""

from collections.abc import Iterable

import numpy as np
import tifffile
from case import OUTPUT, given, spacing, target


def frames() -> np.ndarray:
    """Return the labels of each frame, (T, Y, X) or (T, Z, Y, X); a cell may change its number."""
    return tifffile.imread(given("frame-labels")).astype(np.int32)


def write(tracked: np.ndarray, tracks: Iterable[Iterable[int]]) -> None:
    """Write labels that cells keep, and label, first and last frame and parent of each track."""
    axes = "ZYX"[1 - tracked.ndim :]
    sizes = {f"PhysicalSize{axis}": step for axis, step in zip(axes, spacing(), strict=False)}
    labels, facts = tracked.astype(np.uint16), {"axes": f"T{axes}", **sizes}
    tifffile.imwrite(target("tracked-labels"), labels, ome=True, metadata=facts)
    lines = ["label,begin,end,parent", *(",".join(map(str, row)) for row in tracks), ""]
    (OUTPUT / "tracks.csv").write_text("\n".join(lines), encoding="ascii")
