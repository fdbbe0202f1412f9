"""Arms of the experiment on segmenters: recipes of their volumes, and folders to learn from.

For `cyclegan3d_segmenters.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cytosuite.benchmark.data.dataset import Case, Dataset
from cytosuite.files import atomic, link
from cytosuite.formats import write
from cytosuite.tasks import IMAGE, LABELS
from cytosuite.volume import Volume

CHAIN = "cyclegan3d"
CHAINED = ("enhanced", "transfer")  # ends of names of sets that pass it

Stack = tuple[Volume, Volume]


class Arm(NamedTuple):
    """Volumes to train on: sets that take turns, as finished images or as light."""

    sets: tuple[str, ...]
    light: bool = False


ARMS = {
    "naive": Arm(("naive",)),
    "calibrated": Arm(("calibrated",)),
    "enhanced": Arm(("enhanced",)),
    "calibrated + enhanced": Arm(("calibrated", "enhanced")),
    "naive, enhanced": Arm(("naive-enhanced",)),
    "naive, transfer": Arm(("naive-transfer",)),
    "calibrated, new cameras": Arm(("calibrated",), light=True),
}


def parameters_of(given: Mapping[str, Any], name: str, cases: int) -> dict[str, Any]:
    """Return the recipe of a set: the same nuclei, with its own light and chain."""
    parts = dict(given["parameters"])
    if name.startswith("naive"):
        parts = {key: part for key, part in parts.items() if key not in {"optics", "camera"}}
    parts["output"] = {**parts.get("output", {}), "steps": True}
    through = [CHAIN] if name.endswith(CHAINED) else []
    return {**given, "cases": cases, "through": through, "parameters": parts}


def taking_turns(datasets: Sequence[Dataset]) -> list[Case]:
    """Return as many cases as a set has, each from the set whose turn it is."""
    together = zip(*(dataset.cases for dataset in datasets), strict=True)
    return [cases[number % len(cases)] for number, cases in enumerate(together)]


def lay_out(cases: Iterable[Case], arm: Arm, folder: Path, target: str) -> None:
    """Link the files of cases into one folder, from which cellpose3d learns."""
    if folder.is_dir():
        return
    with atomic(folder) as temporary:
        for case in cases:
            companions = case.folder / "companions"
            files = {"labels": case.path(LABELS.slug)}
            if target == "level":
                files["visible-level"] = companions / "visible-level" / f"{case.name}.tif"
            if arm.light:
                files["step-3-light"] = companions / "step-3-light" / f"{case.name}.tif"
            else:
                files["images"] = case.path(IMAGE.slug)
            for place, path in files.items():
                link(temporary / place / f"{case.name}.tif", path)


def lay_out_real(stacks: Mapping[str, Stack], folder: Path) -> None:
    """Write annotated volumes into one folder, for fine-tuning."""
    if folder.is_dir():
        return
    with atomic(folder) as temporary:
        for name, pair in stacks.items():
            for place, volume in zip(("images", "labels"), pair, strict=True):
                write(temporary / place / f"{name}.tif", volume)
