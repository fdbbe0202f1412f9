"""Tasks: the named inputs and outputs of algorithms of one kind."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["image", "labels", "json"]


@dataclass(frozen=True, slots=True)
class Socket:
    """One named input or output of a task.

    Parameters
    ----------
    slug : str
        Name of the socket, lower case with hyphens.
    kind : str
        ``image``: intensities; ``labels``: integers, 0 is background; ``json``: an object with
        strings and numbers. Labels travel as an ordinary image, since the platform's 8-bit
        segmentation sockets cannot hold instances.
    title : str
        Name for readers.
    optional : bool
        Whether a case may lack it.
    becomes : str
        Of an output: the socket as which a chain hands it to the next algorithm.
    folder : str
        Name of the folder below ``images``, where that is not the slug.
    stack : bool
        Whether its files follow Fuse My Cells: slices along z, y, x in this order, whatever a
        TIFF calls its axes, and TIFF outputs with a description in JSON.
    """

    slug: str
    kind: Kind
    title: str
    optional: bool = False
    becomes: str = ""
    folder: str = ""
    stack: bool = False

    @property
    def relative_path(self) -> str:
        """Place of the socket below ``/input`` or ``/output``."""
        return f"{self.slug}.json" if self.kind == "json" else f"images/{self.folder or self.slug}"


@dataclass(frozen=True, slots=True)
class Task:
    """Named inputs and outputs of algorithms of one kind.

    The first image or labels among the inputs that a case holds is its main input: outputs have
    its geometry and name.
    """

    name: str
    title: str
    inputs: tuple[Socket, ...]
    outputs: tuple[Socket, ...]

    @property
    def main_output(self) -> Socket | None:
        """The first output that is an image or labels: metrics apply to it."""
        return next((socket for socket in self.outputs if socket.kind != "json"), None)


IMAGE = Socket("microscopy-image", "image", "Microscopy image")
LABELS = Socket("instance-labels", "labels", "Instance labels", becomes="structure-sketch")
SKETCH = Socket("structure-sketch", "image", "Structure sketch", optional=True)
ACQUISITION = Socket("acquisition-metadata", "json", "Acquisition metadata", optional=True)
VIEW = "fluorescence-lightsheet-3d-microscopy"  # exact slug and folder of Fuse My Cells
VIEW_FOLDER = "fluorescence-lightsheet-3D-microscopy"

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "segment": Task("segment", "Instance segmentation", (IMAGE, ACQUISITION), (LABELS,)),
        "enhance": Task(
            "enhance",
            "Image enhancement",
            (IMAGE, ACQUISITION),
            (Socket("enhanced-image", "image", "Enhanced image", becomes=IMAGE.slug),),
        ),
        "synthesise": Task(
            "synthesise",
            "Image synthesis",
            (
                SKETCH,
                Socket("instance-labels", "labels", "Instance labels", optional=True),
                ACQUISITION,
            ),
            (Socket("synthetic-image", "image", "Synthetic image", becomes=IMAGE.slug),),
        ),
        "fuse": Task(
            "fuse",
            "View fusion",
            (
                Socket(VIEW, "image", "Light-sheet view", folder=VIEW_FOLDER, stack=True),
                Socket(
                    f"second-{VIEW}",
                    "image",
                    "Second light-sheet view",
                    optional=True,
                    stack=True,
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
                    stack=True,
                ),
            ),
        ),
    }
)
