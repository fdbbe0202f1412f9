"""Draw requests for masks: a seed and a number for each case."""

from typing import Annotated

from pydantic import Field

from cytosuite.contract.tasks import REQUEST
from cytosuite.datasets.ranges import Count, Positive, Range, Section, Triple, draw_whole
from cytosuite.datasets.sample import Sample
from cytosuite.formats.request import canvas_of
from cytosuite.volume.arrays import Rng

SEEDS = 2**53  # whole in any JSON

Truncation = Annotated[float, Field(ge=0, le=2)]


class Parameters(Section):
    """What is asked for."""

    shape: tuple[Count, Count, Count] | tuple[Count, Count] = (256, 256)
    """voxels along z, y, x of a volume, or along y, x of a plane"""
    spacing_um: Triple | tuple[Positive, Positive] = (0.8, 0.8)
    """µm per voxel, as many values as `shape`"""
    number: Range[Count] = (10, 60)
    """cells, at most"""
    truncation: Range[Truncation] = (1.0, 1.0)
    """factor of the noise: below 1 masks are nearer the mean, and less diverse"""


def generate(rng: Rng, parameters: Parameters) -> Sample:
    """Return the request of one case."""
    seed = int(rng.integers(SEEDS))
    request = {
        "seed": seed,
        "shape": list(parameters.shape),
        "spacing": list(parameters.spacing_um),
        "number": draw_whole(rng, parameters.number),
        "truncation": float(rng.uniform(*parameters.truncation)),
    }
    return Sample({REQUEST.slug: canvas_of(request)}, metadata={"seed": seed})
