"""Settings of images that are made, and what was measured of them, as CSV, Markdown and curves.

For `diffusion_curves.py`.
"""

import csv
from collections.abc import Sequence
from math import isfinite, nan
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from cyclegan3d_scores import METRICS
from diffusion_figure import Panel, Values, parts_of

from cytosuite.algorithms.diffusion.synthesise import Process
from cytosuite.errors import InputError
from cytosuite.files import atomic

STEPS = (5, 10, 20, 50, 100, 400)
STARTS = (100, 200, 400, 600, 800, 1000)
REALISM = ("W1_by_std", "lateral_spectrum_distance", "patch_KID")
QUALITY = (*REALISM, "label_AUC", *METRICS)
COSTS = ("passes", "voxels", "cpu_s", "wall_s")
FIELDS = ("key", "setting", "solver", "steps", "t_start", "seed", "images", *QUALITY, *COSTS)

Row = dict[str, str]  # a line of the table, by `FIELDS`


class Setting(NamedTuple):
    """How images are made; without a solver by no network."""

    name: str
    solver: str = ""
    steps: int = 0
    start: int = 0


REAL, PLAIN, PUBLISHED = Setting("real"), Setting("plain"), Setting("published", "ddpm", 400, 400)


def solved(solver: str, steps: int, start: int) -> Setting:
    """Return a setting with its name."""
    return Setting(f"{solver} {steps} from {start}", solver, steps, start)


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a table that was begun, none without a file.

    Raises
    ------
    InputError
        If it is another table.
    """
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        table = csv.DictReader(stream)
        rows = list(table)
        if tuple(table.fieldnames or ()) != FIELDS:
            raise InputError(
                f"{path}: expected the columns {', '.join(FIELDS)}, found "
                f"{', '.join(table.fieldnames or ['none'])}; give another --out"
            )
    return rows


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write all rows, whole or not at all."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        table = csv.DictWriter(stream, FIELDS)
        table.writeheader()
        table.writerows(rows)


def by_setting(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows of each setting."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["setting"], []).append(row)
    return found


def table(rows: Sequence[Row]) -> str:
    """Return means over seeds with their standard deviation as Markdown, costs per image."""
    head = ("setting", *QUALITY, "passes", "voxels", "CPU s", "wall s")
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, own in by_setting(rows).items():
        cells = [cell([float(row[metric]) for row in own]) for metric in QUALITY]
        for cost in COSTS:
            each = mean([float(row[cost]) / int(row["images"]) for row in own])
            cells += [f"{each:.3g}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(found: Sequence[float]) -> str:
    """Return mean and standard deviation, a dash where nothing is known."""
    known = [value for value in found if isfinite(value)]
    if not known:
        return "-"
    return f"{fmean(known):.3f}" + (f" ± {stdev(known):.3f}" if len(known) > 1 else "")


def mean(found: Sequence[float]) -> float:
    """Return the mean of the values that are finite, NaN without one."""
    known = [value for value in found if isfinite(value)]
    return fmean(known) if known else nan


def qualities(rows: Sequence[Row]) -> Values:
    """Return the values of each metric, by seed."""
    return {metric: [float(row[metric]) for row in rows] for metric in QUALITY}


def panels(rows: Sequence[Row], process: Process) -> list[Panel]:
    """Return quality against steps, and against the start."""
    found = {name: qualities(own) for name, own in by_setting(rows).items()}
    relative = {
        name: parts_of(each, found.get(PLAIN.name, {}), found.get(REAL.name, {}))
        for name, each in found.items()
    }
    published = {400: relative[PUBLISHED.name]} if PUBLISHED.name in relative else {}
    own = process.solver, process.steps, process.start
    by_steps = {n: solved(own[0], n, own[2]).name for n in STEPS}
    by_start = {n: solved(own[0], own[1], n).name for n in STARTS}
    steps, starts = (
        {n: relative[name] for n, name in names.items() if name in relative}
        for names in (by_steps, by_start)
    )
    title = f"Quality against steps, {process.solver} from {process.start}"
    other = f"Realism and fidelity against t_start, {process.solver}, {process.steps} steps"
    return [
        Panel(title, "steps", steps, published, even=False),
        Panel(other, "t_start", starts, published, even=True),
    ]
