"""The parameters of the detector of spots, with their units and bounds."""

from typing import Annotated

from pydantic import Field

from cytosuite.contract.manifest import Described

Finite = Annotated[float, Field(strict=True, allow_inf_nan=False)]
NonNegative = Annotated[Finite, Field(ge=0)]
Positive = Annotated[Finite, Field(gt=0)]


class Parameters(Described):
    """Parameters of the detector of spots; lengths in µm, or all in pixels with `in_pixels`.

    In two dimensions `axial_elongation` has no effect.
    """

    in_pixels: Annotated[bool, Field(strict=True)] = Field(
        False, description="All lengths are in pixels: the image's voxel size does not count."
    )
    sigmas_um: tuple[Positive, ...] = Field(
        (0.12, 0.18),
        min_length=1,
        max_length=8,
        description="Standard deviations [µm] in y and x of the spots to look for.",
    )
    measure_width: Annotated[bool, Field(strict=True)] = Field(
        False, description="The widths are to begin with: the clearest spots tell that to look for."
    )
    axial_elongation: Annotated[Finite, Field(ge=0.1, le=10)] = Field(
        2.5, description="How many times larger the standard deviation of a spot is along z."
    )
    threshold: Positive = Field(
        3.0, description="Least response to the filter, in standard deviations of its noise."
    )
    minimum_snr: NonNegative = Field(
        3.0, description="Least height of a fitted spot, in its standard deviations."
    )
    narrowest: Positive = Field(
        0.6, description="Least standard deviation of a fitted spot, of the smallest to look for."
    )
    widest: Positive = Field(
        1.8, description="Largest standard deviation of a fitted spot, of the largest to look for."
    )
    minimum_distance: NonNegative = Field(
        1.0, description="Least distance of two spots, in the smallest standard deviation."
    )
    passes: Annotated[int, Field(strict=True, ge=1, le=5)] = Field(
        5,
        description="How often at most spots are looked for, then in what those found leave.",
    )
