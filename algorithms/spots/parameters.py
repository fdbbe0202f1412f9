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

    # all lengths are in pixels: the image's voxel size does not count
    in_pixels: Annotated[bool, Field(strict=True)] = False
    # standard deviations [µm] in y and x of the spots to look for
    sigmas_um: tuple[Positive, ...] = Field((0.12, 0.18), min_length=1, max_length=8)
    # the widths are to begin with: the clearest spots tell that to look for
    measure_width: Annotated[bool, Field(strict=True)] = False
    # how many times larger the standard deviation of a spot is along z
    axial_elongation: Annotated[Finite, Field(ge=0.1, le=10)] = 2.5
    threshold: Positive = 3.0  # least response to the filter, in standard deviations of its noise
    minimum_snr: NonNegative = 3.0  # least height of a fitted spot, in its standard deviations
    # least standard deviation of a fitted spot, of the smallest to look for
    narrowest: Positive = 0.6
    # largest standard deviation of a fitted spot, of the largest to look for
    widest: Positive = 1.8
    # least distance of two spots, in the smallest standard deviation
    minimum_distance: NonNegative = 1.0
    # most searches for spots; the second and later ones look at the residual
    passes: Annotated[int, Field(strict=True, ge=1, le=5)] = 5
