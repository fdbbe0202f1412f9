"""The parameters of the watershed segmenter, with their units and bounds."""

from math import inf
from typing import Annotated

from pydantic import Field

from cytosuite.contract.manifest import Described

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
NonNegative = Annotated[Finite, Field(ge=0)]
Factor = Annotated[Finite, Field(ge=0, le=10)]
Fraction = Annotated[Finite, Field(ge=0, le=1)]
Positive = Annotated[Finite, Field(gt=0)]


class Parameters(Described):
    """Parameters of the watershed segmenter; lengths in µm, or all in pixels with `in_pixels`.

    In two dimensions `axial_elongation` has no effect.
    """

    in_pixels: Annotated[bool, Field(strict=True)] = Field(
        False, description="All lengths are in pixels: the image's voxel size does not count."
    )
    smoothing_um: NonNegative = Field(
        0.8, description="Standard deviation [µm] in y and x of the Gaussian before thresholds."
    )
    clearness: NonNegative = Field(
        0.0,
        description="How many times brighter than the noise in them nuclei must be once smoothed: "
        "the smoothing widens for that, to 0.15 of their radius at most; 0: it never does.",
    )
    axial_elongation: Annotated[Finite, Field(ge=0.1, le=10)] = Field(
        1.5,
        description="How many times taller (z) than wide nuclei look; scales all lengths along z.",
    )
    background_um: NonNegative = Field(
        0.0, description="Radius [µm] of the uneven background to remove; 0: only a constant."
    )
    threshold_factor: Factor = Field(
        1.0, description="Global threshold as a multiple of Li's minimum cross entropy threshold."
    )
    local_um: NonNegative = Field(
        12.0, description="Standard deviation [µm] of the surroundings that shift the threshold."
    )
    local_weight: Fraction = Field(
        0.4, description="0: no shift; 1: the threshold is proportional to their mean."
    )
    radii_um: tuple[Positive, ...] = Field(
        (4.0, 6.0),
        min_length=1,
        description="Nucleus radii [µm] that the Laplacian of Gaussian looks for.",
    )
    blob_fraction: Annotated[Finite, Field(ge=-10, le=1)] = Field(
        -1.2,
        description="Foreground voxels have a blob response of at least this fraction of their "
        "intensity: the gaps between nuclei have a negative one.",
    )
    relative_radii: tuple[Positive, ...] = Field(
        (),
        description="Radii as multiples of the typical radius found in the image, kept within the "
        "range of `radii_um`; empty: `radii_um` as they are.",
    )
    distance_weight: Annotated[Finite, Field(ge=0, le=4)] = Field(
        1.5,
        description="Exponent of the distance to the border in the seed map; 0: intensity alone.",
    )
    merge_ratio: Fraction = Field(
        0.9,
        description="Two neighbouring basins are one nucleus when the saddle between them is at "
        "least this fraction of the lower of their two peaks in the seed map.",
    )
    object_factor: Factor = Field(
        0.9,
        description="A nucleus ends where the intensity falls below ``object_factor "
        "threshold^(1 - object_weight) mean^object_weight`` with its own mean.",
    )
    object_weight: Fraction = Field(0.35, description="See `object_factor`.")
    passes: Annotated[int, Field(strict=True, ge=1, le=5)] = Field(
        2,
        description="How often seeds, basins and extents are found; from the second pass on the "
        "distances are those inside the extents of the pass before.",
    )
    opening_um: NonNegative = Field(
        1.0, description="Radius [µm] of the opening that removes thin protrusions; 0: none."
    )
    minimum_size: NonNegative = Field(60.0, description="Smallest object kept [µm³; 2D: µm²].")
    maximum_size: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=True)] = Field(
        inf, description="Largest object kept [µm³; 2D: µm²]."
    )
    minimum_contrast: Factor = Field(
        0.0, description="Smallest mean of an object as a multiple of the global threshold."
    )
    minimum_snr: NonNegative = Field(
        4.0, description="Smallest mean of an object in units of the noise left after smoothing."
    )
    outline: Annotated[Finite, Field(gt=0, lt=1)] | None = Field(
        None,
        description="Looseness of the outlines that the trees in the weights draw, 0 to 1; "
        "None: objects stay as they were found.",
    )
