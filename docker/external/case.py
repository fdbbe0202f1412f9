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


def given() -> tuple[Path, float]:
    """Return the image of the case, TIFF, and its pixel size [µm], 1 where it is unknown."""
    (image,) = sorted((INPUT / "images" / "microscopy-image").glob("*.tif"))
    facts = INPUT / "acquisition-metadata.json"
    spacing = json.loads(facts.read_text("utf-8")).get("spacing") if facts.is_file() else None
    return image, spacing[-1] if spacing else 1.0


def target() -> Path:
    """Return the file of the labels, in the folder that sockets.toml names."""
    folder = OUTPUT / "images" / "masks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / "masks.tif"


def run(command: Callable[[Path, Path, float], Sequence[object]], masks: str) -> None:
    """Run a tool's command of image, empty folder and pixel size; take its one file of masks."""
    image, pixel_um = given()
    with TemporaryDirectory() as work:
        words = [str(word) for word in command(image, Path(work), pixel_um)]
        if code := subprocess.run(words, cwd=work, check=False).returncode:
            sys.exit(f"{words[0]} ended with exit code {code}")
        found = sorted(Path(work).rglob(masks))
        if len(found) != 1:
            sys.exit(f"expected one {masks} of {words[0]}, found {len(found)}")
        shutil.copyfile(found[0], target())
