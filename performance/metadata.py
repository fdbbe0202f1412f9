"""Segmentation of real images with wrong metadata: model, warning and score of each.

``CYTOSUITE_DATA`` is a folder of annotated images, ``<set>/images`` and ``<set>/labels``.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from cytosuite.formats import read
from cytosuite.metrics import seg

IMAGES = {
    "mouse_embryo_3d/ix71_Emb05_t351": (1.75, 0.8, 0.8),
    "plant_nuclei_3d/ovule_nuclei_1135": (0.28372, 0.12679, 0.12679),
    "nuclei_2d/dsb_360x360_0532c64c": (0.65, 0.65),  # a usual one: the data give none
}
LOSS = 0.05  # of SEG, that nobody may miss


@dataclass(frozen=True, slots=True)
class Wrong:
    """An image as a file with metadata of a kind: of ImageJ, OME or JSON."""

    array: np.ndarray[Any, Any]
    size: tuple[float, ...]
    kind: str = "imagej"
    unit: str = "um"
    axes: str = ""
    beside: dict[str, Any] = field(default_factory=dict)  # acquisition metadata beside the image
    turned: bool = False  # the array, and so the labels that it is compared with

    def write(self, folder: Path, name: str) -> None:
        """Write the image, and the metadata beside it."""
        path = folder / "images" / f"{name}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        axes = self.axes or "ZYX"[-self.array.ndim :]
        names = [axis for axis in "ZYX" if axis in "ZYX"[-len(self.size) :]]
        more: dict[str, Any] = {}
        if self.kind == "imagej":
            step = {"spacing": self.size[0]} if len(self.size) == 3 else {}
            if self.size:
                more["resolution"] = (1 / self.size[-1], 1 / self.size[-2])
                step["unit"] = self.unit
            more |= {"imagej": True, "metadata": {"axes": axes, **step}}
        elif self.kind == "ome":
            sizes = {f"PhysicalSize{n}": s for n, s in zip(names, self.size, strict=True)}
            units = {f"PhysicalSize{n}Unit": "µm" for n in names}
            more |= {"ome": True, "metadata": {"axes": axes, **sizes, **units}}
        else:
            more |= {"metadata": {"axes": axes, "spacing": list(self.size)}}
        tifffile.imwrite(path, self.array, photometric="minisblack", **more)
        if self.beside:
            beside = folder / "acquisition-metadata" / f"{name}.json"
            beside.parent.mkdir(exist_ok=True)
            beside.write_text(json.dumps(self.beside))


def times(size: tuple[float, ...], factor: float) -> tuple[float, ...]:
    """Return a voxel size in another unit."""
    return tuple(step * factor for step in size)


KINDS: dict[str, Callable[[Any, Any], Wrong]] = {
    "clean": lambda a, s: Wrong(a, s),
    "nm in a field of µm": lambda a, s: Wrong(a, times(s, 1e3)),
    "µm in a field of cm": lambda a, s: Wrong(a, s, unit="cm"),
    "µm in a field of inches": lambda a, s: Wrong(a, s, unit="inch"),
    "72 dots per inch": lambda a, s: Wrong(a, (1 / 72, 1 / 72, 1 / 72)[-len(s) :], unit="inch"),
    "m in a field of µm": lambda a, s: Wrong(a, times(s, 1e-6), "ome"),
    "x, y, z for z, y, x": lambda a, s: Wrong(a, s[::-1], "json"),
    "step missing": lambda a, s: Wrong(a, s[-2:]),
    "all missing": lambda a, s: Wrong(a, s[:0]),
    "zero and NaN": lambda a, s: Wrong(a, (0.0, float("nan"), 0.0)[-len(s) :], "json"),
    "contradictory (json beside)": lambda a, s: Wrong(a, s, beside={"spacing": times(s, 2)}),
    "absurd (90 mm)": lambda a, s: Wrong(a, (3.0, 9e4, 9e4)[-len(s) :], "ome"),
    "camera's pixel (x 10)": lambda a, s: Wrong(a, (*s[:-2], *times(s[-2:], 10))),
    "axes turned, declared so": lambda a, s: Wrong(
        a.transpose(), s, "json", axes="ZYX"[-a.ndim :][::-1]
    ),
    "axes turned, declared z, y, x": lambda a, s: Wrong(a.transpose(), s, turned=True),
    "slices declared frames": lambda a, s: Wrong(a, s[-2:], axes="TYX"[-a.ndim :]),
    "channel wrong": lambda a, s: Wrong(a, s, beside={"channel": "membrane"}),
    "channel unknown": lambda a, s: Wrong(a, s, beside={"channel": "foo"}),
}
SPATIAL_ONLY = {"x, y, z for z, y, x", "step missing", "slices declared frames"}


def main() -> int:
    """Print the table; the exit code is 1 if a loss stands without a warning."""
    data = Path(os.environ["CYTOSUITE_DATA"])
    silent = 0
    for image, size in IMAGES.items():
        folder, name = image.split("/")
        array = tifffile.imread(data / folder / "images" / f"{name}.tif")
        truth = tifffile.imread(data / folder / "labels" / f"{name}.tif")
        silent += table(image, array, size, truth)
    return int(silent > 0)


def table(
    image: str, array: np.ndarray[Any, Any], size: tuple[float, ...], truth: np.ndarray[Any, Any]
) -> int:
    """Print the rows of an image, and return the number of losses without an own warning."""
    kinds = {k: make for k, make in KINDS.items() if array.ndim == 3 or k not in SPATIAL_ONLY}
    wrong = {
        f"{image.split('/')[1]}_{n}": make(array, size) for n, make in enumerate(kinds.values())
    }
    with tempfile.TemporaryDirectory() as place:
        for name, given in wrong.items():
            given.write(Path(place) / "in", name)
        words = ["segment", f"{place}/in", "--out", f"{place}/out", "--engine", "process"]
        command = [sys.executable, "-m", "cytosuite.benchmark", *words, "--no-preview"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"\n{image}, {array.shape}, {size} µm")
        clean, usual, silent = 0.0, [], 0
        for kind, (name, given) in zip(kinds, wrong.items(), strict=True):
            path = Path(place) / "out" / f"{name}.tif"
            if not path.is_file():
                lines = [line for line in done.stdout.splitlines() if f"{name}.tif: failed" in line]
                reason = lines[0].partition("failed: ")[2] if lines else done.stderr[-300:]
                print(f"  {kind:32} refused: {reason}")
                continue
            record = json.loads(path.with_suffix(".json").read_text())
            score = seg(truth.transpose() if given.turned else truth, read(path).array)
            if kind == "clean":
                clean, usual = score, record["warnings"]
            told = [line for line in record["warnings"] if line not in usual or kind == "clean"]
            lost = clean - score > LOSS and not told
            silent += lost
            model = f"{record['algorithm']}/{record['model']}"
            source = record["selection"]["sources"].get("spacing", "")
            print(f"  {kind:32} SEG {score:.3f}{' SILENT' * lost}  {model}  {source}")
            for line in told:
                print(f"  {'':32} ! {line}")
    return silent


if __name__ == "__main__":
    sys.exit(main())
