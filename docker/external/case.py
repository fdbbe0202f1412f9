"""The case of an external image: the image to read, the place of its labels; no packages."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

INPUT, OUTPUT = Path(os.environ.get("INPUT", "/input")), Path(os.environ.get("OUTPUT", "/output"))


def given(slug: str = "microscopy-image") -> Path:
    """Return the file of an input of the case, TIFF."""
    files = sorted((INPUT / "images" / slug).glob("*.tif"))
    if len(files) != 1:
        sys.exit(f"expected one file in images/{slug}, found {len(files)}")
    return files[0]


def spacing() -> list[float]:
    """Return the voxel size [µm], x last; an empty list where it is unknown."""
    facts = INPUT / "acquisition-metadata.json"
    return (json.loads(facts.read_text("utf-8")).get("spacing") if facts.is_file() else None) or []


def target(slug: str = "masks") -> Path:
    """Return the file of the labels, in a folder of that name."""
    folder = OUTPUT / "images" / slug
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{slug}.tif"


def run(command: Callable[[Path, Path, float], Sequence[object]], masks: str) -> None:
    """Run a tool's command of image, empty folder and pixel size; take its one file of masks."""
    image, pixel_um = given(), (spacing() or [1.0])[-1]
    with TemporaryDirectory() as work:
        words = [str(word) for word in command(image, Path(work), pixel_um)]
        if code := subprocess.run(words, cwd=work, check=False).returncode:
            sys.exit(f"{words[0]} ended with exit code {code}")
        found = sorted(Path(work).rglob(masks))
        if len(found) != 1:
            sys.exit(f"expected one {masks} of {words[0]}, found {len(found)}")
        shutil.copyfile(found[0], target())
