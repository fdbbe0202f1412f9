"""Tasks: the named inputs and outputs of algorithms of one kind."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal

from cytosuite.files import frozen

Kind = Literal["image", "labels", "points", "tracks", "canvas", "json"]


@frozen
class Socket:
    """One named input or output of a task."""

    slug: str  # lower case with hyphens
    # ``image``: intensities; ``labels``: integers, 0 is background, as an ordinary image, since the
    # platform's 8-bit segmentation sockets cannot hold instances; ``points``: its multiple points,
    # see `cytosuite.contract.points`; ``tracks``: a table of the tracks of a movie, CSV, see
    # `cytosuite.contract.tracks`; ``canvas``: a request for an image, JSON in files and an
    # empty image in memory, see `cytosuite.formats.request`; ``json``: any object.
    kind: Kind
    title: str  # name for readers
    optional: bool = False  # a case may lack it
    becomes: str = ""  # of an output: the socket of the next algorithm in a pipeline
    folder: str = ""  # name below ``images``, where it is not the slug
    # As its files hold them; these follow Fuse My Cells, TIFF outputs are described in JSON.
    axes: str = ""
    course: bool = False  # of an output: it has a further axis, the steps of its making
    movie: bool = False  # its first axis is time

    @property
    def suffix(self) -> str:
        """Suffix of a socket that is a file of its own; empty for an image in a folder."""
        if self.kind == "tracks":
            return ".csv"
        return ".json" if self.kind in ("points", "canvas", "json") else ""

    @property
    def is_file(self) -> bool:
        """Whether the socket is a file of its own, JSON or a table, else an image in a folder."""
        return bool(self.suffix)

    @property
    def is_volume(self) -> bool:
        """Whether an algorithm takes it as an image, which gives outputs their geometry."""
        return self.kind in ("image", "labels", "canvas")

    @property
    def platform_kind(self) -> str:
        """Kind of the socket in the words of the platform."""
        kinds = {"points": "Multiple points", "tracks": "CSV file", "json": "Anything"}
        return kinds.get(self.kind, "Image")

    @property
    def relative_path(self) -> str:
        """Place of the socket below ``/input`` or ``/output``."""
        folder = f"images/{self.folder or self.slug}"
        return f"{self.slug}{self.suffix}" if self.is_file else folder


@frozen
class Task:
    """Named inputs, of which the first image or labels of a case is its main one, and outputs."""

    name: str
    title: str
    inputs: tuple[Socket, ...]
    outputs: tuple[Socket, ...]

    @property
    def main_output(self) -> Socket | None:
        """The first output that is an image, labels or points: metrics apply to it."""
        return next((socket for socket in self.outputs if socket.kind != "json"), None)


IMAGE = Socket("microscopy-image", "image", "Microscopy image")
LABELS = Socket("instance-labels", "labels", "Instance labels", becomes="structure-sketch")
POINTS = Socket("detected-points", "points", "Detected points")
SKETCH = Socket("structure-sketch", "image", "Structure sketch", optional=True)
# Whole objects where some lie over others: label images, joined along the first axis.
LAYERS = Socket("layered-labels", "labels", "Labels in layers", optional=True)
ACQUISITION = Socket("acquisition-metadata", "json", "Acquisition metadata", optional=True)
REQUEST = Socket("sample-request", "canvas", "Request for a sample")
SAMPLED_CELLS = Socket("sampled-cells", "labels", "Labels of cells")
SAMPLED_NUCLEI = Socket(
    "sampled-nuclei",
    "labels",
    "Nuclei with the numbers of their cells",
    optional=True,
    becomes=LABELS.slug,
)
MOVIE = Socket("microscopy-movie", "image", "Microscopy movie", movie=True)
# Of each frame alone: a cell may have another number in each.
FRAME_LABELS = Socket("frame-labels", "labels", "Labels of each frame", optional=True, movie=True)
TRACKED = Socket("tracked-labels", "labels", "Labels that cells keep over time", movie=True)
TRACKS = Socket("tracks", "tracks", "Tracks")
VIEW = "fluorescence-lightsheet-3d-microscopy"  # exact slug and folder of Fuse My Cells
VIEW_FOLDER = "fluorescence-lightsheet-3D-microscopy"

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "segment": Task("segment", "Instance segmentation", (IMAGE, ACQUISITION), (LABELS,)),
        "detect": Task("detect", "Detection of points", (IMAGE, ACQUISITION), (POINTS,)),
        "track": Task(
            "track", "Tracking of cells", (MOVIE, FRAME_LABELS, ACQUISITION), (TRACKED, TRACKS)
        ),
        "enhance": Task(
            "enhance",
            "Image enhancement",
            (IMAGE, ACQUISITION),
            (Socket("enhanced-image", "image", "Enhanced image", becomes=IMAGE.slug),),
        ),
        "synthesise": Task(
            "synthesise",
            "Image synthesis",
            (SKETCH, replace(LABELS, optional=True, becomes=""), LAYERS, ACQUISITION),
            (
                Socket("synthetic-image", "image", "Synthetic image", becomes=IMAGE.slug),
                Socket(
                    "sampling-course", "image", "Course of the sampling", optional=True, course=True
                ),
            ),
        ),
        "sample": Task(
            "sample",
            "Masks from a seed",
            (REQUEST,),
            (SAMPLED_CELLS, SAMPLED_NUCLEI),
        ),
        "fuse": Task(
            "fuse",
            "View fusion",
            (
                Socket(VIEW, "image", "Light-sheet view", folder=VIEW_FOLDER, axes="ZYX"),
                Socket(
                    f"second-{VIEW}", "image", "Second light-sheet view", optional=True, axes="ZYX"
                ),
                ACQUISITION,
            ),
            (
                Socket(
                    f"fused-{VIEW}",
                    "image",
                    "Fused light-sheet view",
                    becomes=IMAGE.slug,
                    folder=f"fused-{VIEW_FOLDER}",
                    axes="ZYX",
                ),
            ),
        ),
    }
)
