"""A generated case: images and labels by socket, drawn values; conditions of annotated images."""

from collections.abc import Mapping
from dataclasses import field
from math import sqrt

import numpy as np

from cytosuite.contract.tracks import Track
from cytosuite.datasets.physics.grid import some_planes
from cytosuite.files import Entries, Paths, ScalarMap, Scalars, frozen
from cytosuite.volume import Volume, Volumes, memory
from cytosuite.volume.arrays import Array, Integers
from cytosuite.volume.pieces import distinct

Value = Entries  # the object of a JSON socket
SECOND_DIFFERENCE = sqrt(6.0)  # noise of a - 2 b + c relative to one voxel's


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


def measured(image: Array, labels: Integers) -> Scalars:
    """Return ``objects`` and ``signal / noise`` of an image (Z, Y, X) or (Y, X) and its labels.

    The latter is (mean inside objects - mean of the background) / noise of the background, left out
    where there is none. Noise is the root mean square of ``(a - 2 b + c) / sqrt(6)`` over three
    background voxels in a row along x: glow and halos, which change slowly, cancel; noise that
    neighbours share is underestimated. Of very many voxels some planes count.
    """
    sums = np.zeros((3, 2))  # of light inside and outside, of squared noise; of their voxels
    planes = (-1, *image.shape[-2:])
    step = some_planes(image.shape).step
    pairs = zip(image.reshape(planes), labels.reshape(planes), strict=True)
    for number, (plane, objects) in enumerate(pairs):
        memory.release(image, labels)
        if number % step:
            continue
        light = plane.astype(np.float64)
        free = objects == 0
        second = light[:, :-2] - 2 * light[:, 1:-1] + light[:, 2:]
        second = second[free[:, :-2] & free[:, 1:-1] & free[:, 2:]] / SECOND_DIFFERENCE
        sums += [
            (light[~free].sum(), np.count_nonzero(~free)),
            (light[free].sum(), np.count_nonzero(free)),
            (np.square(second).sum(), second.size),
        ]
    conditions: Scalars = {}
    (inside, n_inside), (outside, n_outside), (noise, n_noise) = sums
    if n_inside and noise > 0:
        signal = inside / n_inside - outside / n_outside
        conditions["signal / noise"] = float(signal / np.sqrt(noise / n_noise))
    return conditions | {"objects": int(np.count_nonzero(distinct(labels)))}
