"""Options of ``score``."""

from pathlib import Path
from typing import Literal

from cytosuite.benchmark.commands.terminal.console import LEAST_UM, MOST_UM, numbers
from cytosuite.benchmark.commands.terminal.options import (
    STDOUT,
    FileOptions,
    TableOptions,
    command_options,
    listing,
    option,
)
from cytosuite.contract.words import SEGMENTER
from cytosuite.errors import InputError
from cytosuite.files import FloatTuple, need_file, read_head

HEADS = b"case,side,", b'{\n  "case"'  # of tables of objects, and of scores as JSON
MOST = 2**24  # bytes of a table that are looked at


@command_options
class ScoreOptions(TableOptions, FileOptions):
    """Options of a scoring of files, see `cytosuite.benchmark.commands.score.score_files`."""

    truth: Path = option("File, folder, list (.csv), or 01_GT.", ...)
    prediction: Path = option("File, folder, or 01_RES.", ...)
    metrics: list[str] = listing("Names, comma-separated.")
    image: Path | None = option("Input images, for N_SSIM and N_IOU.")
    segmenter: str = option("Algorithm, or algorithm:model, whose masks N_IOU compares.", SEGMENTER)
    spacing: FloatTuple | None = option("µm per voxel: z,y,x.", parse=numbers)
    data_range: float | None = option("For image metrics.")
    border: int = option("Pixels to leave out at the border.", 0, min=0, max=10**9)
    min_object_voxels: int = option("Smaller true objects are ignored.", 0, min=0)
    radius: float | None = option(
        "µm between paired points, at most; by default 3 pixels.", min=LEAST_UM, max=MOST_UM
    )
    truth_labels: Path | None = option("Objects in truth images.")
    prediction_labels: Path | None = option("In predicted ones.")
    edges: Literal["suited", "published"] = option(
        "Limits of edge_degradation: by your images, or the published crops and voxels.", "suited"
    )
    objects: Path | None = option("CSV file: what became of each object of label volumes.")
    logs: Path | None = option("Folder for SEG_log.txt, DET_log.txt and TRA_log.txt of tracks.")

    def __post_init__(self) -> None:
        """Refuse to write over an input."""
        super().__post_init__()
        if self.objects is not None:
            if self.objects in (STDOUT, self.csv, self.json):
                raise InputError(f"--objects {self.objects}: expected a CSV file of its own")
            need_file(self.objects)
        inputs = filter(
            None,
            (
                self.truth,
                self.prediction,
                self.image,
                self.truth_labels,
                self.prediction_labels,
                self.data_root,
            ),
        )
        read = {*map(Path.resolve, inputs)}
        for path in filter(None, (self.csv, self.json, self.objects)):
            room = path.parent.resolve()
            inside = read & {path.resolve(), room, *room.parents} and path.is_file()
            text = read_head(path, MOST) if inside else b""
            scores = text.startswith(b"case,") and b"\n[" in text  # a row of all cases together
            if inside and not (scores or text.startswith(HEADS)):
                raise InputError(f"{path}: the table would overwrite it; name another file")
