"""A generated case: its images and labels by socket, and the drawn values."""

from collections.abc import Mapping
from dataclasses import field

from cytosuite.contract.tracks import Track
from cytosuite.files import Entries, Paths, ScalarMap, frozen
from cytosuite.volume import Volume, Volumes

Value = Entries  # the object of a JSON socket


@frozen
class Sample:
    """One generated case: volumes by the slug of their socket; conditions break results down."""

    sockets: Mapping[str, Volume | Value | list[Track]]
    metadata: ScalarMap = field(default_factory=dict)  # flat, drawn and measured
    extras: Volumes = field(default_factory=dict)  # neither seen nor scored
    conditions: ScalarMap = field(default_factory=dict)
    min_object_voxels: int = 0  # ignored in the scores, see `labels.prepare.without_small`
    radius_um: float | None = None  # between paired points, at most; None: the metrics' own
    dataset: str = ""  # in a run over several
    files: Paths = field(default_factory=dict)  # a user's large images: linked
    masks: Entries = field(default_factory=dict)  # how they were combined, for case.json

    def volume(self, slug: str) -> Volume:
        """Return the volume of a socket; KeyError where there is none."""
        value = self.sockets[slug]
        if not isinstance(value, Volume):
            raise KeyError(slug)
        return value
