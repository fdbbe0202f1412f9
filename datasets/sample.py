"""A generated case: its images and labels by socket, and the drawn values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cytosuite.volume import Scalar, Volume

Value = Mapping[str, Any]  # the object of a JSON socket


@dataclass(frozen=True, slots=True)
class Sample:
    """One generated case.

    Parameters
    ----------
    sockets : mapping of str to Volume, or to a mapping for JSON sockets
        Everything that a task may take in or compare with, by the slug of the socket
        (`cytosuite.tasks`): an algorithm sees the inputs of its task alone; the volume with the
        slug of its output is the truth.
    metadata : mapping of str to str, int or float
        Physical truth of the case, as flat scalars: drawn parameters with their unit in the name
        (``attenuation_um``) and measured results (``n_nuclei``, ``snr``).
    companions : mapping of str to Volume
        Further volumes of the case that are neither seen nor scored, by name: another channel, its
        labels, kinds of cells, the volume after each stage (``step-1-dye``).
    conditions : mapping of str to str, int or float
        The few facts by which results are broken down: numbers, which a report cuts into ranges,
        or words, which are groups. A name may end with its unit: ``density [%]``. Unknown ones are
        left out.
    min_object_voxels : int
        Smaller objects of the truth are ignored in the scores, see
        `cytosuite.metrics.labels.ignore.without_small`.
    dataset : str
        Name of its dataset in a run over several.
    files : mapping of str to Path
        Large images of a user by the slug of their socket: linked, where the others are written.
    """

    sockets: Mapping[str, Volume | Value]
    metadata: Mapping[str, Scalar] = field(default_factory=dict)
    companions: Mapping[str, Volume] = field(default_factory=dict)
    conditions: Mapping[str, Scalar] = field(default_factory=dict)
    min_object_voxels: int = 0
    dataset: str = ""
    files: Mapping[str, Path] = field(default_factory=dict)

    def volume(self, slug: str) -> Volume:
        """Return the volume of a socket.

        Raises
        ------
        KeyError
            If the sample has no volume under this slug.
        """
        found = self.sockets[slug]
        if not isinstance(found, Volume):
            raise KeyError(slug)
        return found
