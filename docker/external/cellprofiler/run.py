"""CellProfiler by its command line and a pipeline of yours, which writes *_masks.tiff."""

import os
import shutil
from pathlib import Path

from case import run

PIPELINE = os.environ.get("PIPELINE", "/opt/external/pipeline.cppipe")


def command(image: Path, work: Path, _: float) -> list[object]:
    """Return the command; the image lies alone in a folder, as CellProfiler's input folder."""
    (work / "in").mkdir()
    shutil.copyfile(image, work / "in" / "image.tif")
    return ["cellprofiler", "-c", "-r", "-p", PIPELINE, "-i", work / "in", "-o", work / "out"]


run(command, "*_masks.tiff")
