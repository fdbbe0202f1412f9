"""The parameters of the watershed segmenter, with their units and bounds."""

from math import inf
from typing import Annotated

from pydantic import Field

from cytosuite.contract.manifest import Described, NotNegative, Positive, Share

Factor = Annotated[float, Field(ge=0, le=10)]


class Parameters(Described, strict=True):
    """Parameters of the watershed segmenter; lengths in µm, or all in pixels with `in_pixels`.

    In two dimensions `axial_elongation` has no effect.
    """

    # all lengths are in pixels: the image's voxel size does not count
    in_pixels: bool = False
    # standard deviation [µm] in y and x of the Gaussian before thresholds
    smoothing_um: NotNegative = 0.8
    # how many times brighter than the noise in them nuclei must be once smoothed: the smoothing
    # widens for that, to 0.15 of their radius at most; 0: it never does
    clearness: NotNegative = 0.0
    # how many times taller (z) than wide nuclei look; scales all lengths along z
    axial_elongation: float = Field(1.5, ge=0.1, le=10)
    # radius [µm] of the uneven background to remove; 0: only a constant
    background_um: NotNegative = 0.0
    # global threshold as a multiple of Li's minimum cross entropy threshold
    threshold_factor: Factor = 1.0
    # standard deviation [µm] of the surroundings that shift the threshold
    local_um: NotNegative = 12.0
    local_weight: Share = 0.4  # 0: no shift; 1: the threshold is proportional to their mean
    # nucleus radii [µm] that the Laplacian of Gaussian looks for
    radii_um: tuple[Positive, ...] = Field((4.0, 6.0), min_length=1, strict=False)
    # foreground voxels have a blob response of at least this fraction of their intensity: the gaps
    # between nuclei have a negative one
    blob_fraction: float = Field(-1.2, ge=-10, le=1)
    # radii as multiples of the typical radius found in the image, kept within the range of
    # `radii_um`; empty: `radii_um` as they are
    relative_radii: tuple[Positive, ...] = Field((), strict=False)
    # exponent of the distance to the border in the seed map; 0: intensity alone
    distance_weight: float = Field(1.5, ge=0, le=4)
    # two neighbouring basins are one nucleus when the saddle between them is at least this fraction
    # of the lower of their two peaks in the seed map
    merge_ratio: Share = 0.9
    # A nucleus ends where the intensity falls below ``object_factor threshold^(1 - object_weight)
    # mean^object_weight`` with its own mean
    object_factor: Factor = 0.9
    object_weight: Share = 0.35  # see `object_factor`
    # how often seeds, basins and extents are found; from the second pass on the distances are those
    # inside the extents of the pass before
    passes: int = Field(2, ge=1, le=5)
    # radius [µm] of the opening that removes thin protrusions; 0: none
    opening_um: NotNegative = 1.0
    minimum_size: NotNegative = 60.0  # smallest object kept [µm³; 2D: µm²]
    # largest object kept [µm³; 2D: µm²]
    maximum_size: float = Field(inf, ge=0, allow_inf_nan=True)
    # smallest mean of an object as a multiple of the global threshold
    minimum_contrast: Factor = 0.0
    # smallest mean of an object in units of the noise left after smoothing
    minimum_snr: NotNegative = 4.0
    # looseness of the outlines that the trees in the weights draw, 0 to 1; None: objects stay as
    # they were found
    outline: float | None = Field(None, gt=0, lt=1)
