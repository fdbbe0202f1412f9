"""What an algorithm is given and what it gives back: tasks and their named sockets."""

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
    """

    slug: str
    kind: Kind
    title: str
    optional: bool = False

    @property
    def relative_path(self) -> str:
        """Where it lies below ``/input`` or ``/output``."""
        return f"{self.slug}.json" if self.kind == "json" else f"images/{self.slug}"


@dataclass(frozen=True, slots=True)
class Task:
    """Named inputs and outputs that algorithms of one kind share."""

    name: str
    title: str
    inputs: tuple[Socket, ...]
    outputs: tuple[Socket, ...]

    @property
    def main_input(self) -> Socket:
        """The input whose geometry the outputs must have."""
        return self.inputs[0]


ACQUISITION = Socket("acquisition-metadata", "json", "Acquisition metadata", optional=True)

TASKS: Mapping[str, Task] = MappingProxyType(
    {
        "segment": Task(
            "segment",
            "Instance segmentation",
            inputs=(Socket("microscopy-image", "image", "Microscopy image"), ACQUISITION),
            outputs=(Socket("instance-labels", "labels", "Instance labels"),),
        )
    }
)
