"""The parameters of the detector of spots, with their units and bounds."""

from pydantic import Field

from cytosuite.contract.manifest import Described, NotNegative, Positive


class Parameters(Described, strict=True):
    """Parameters of the detector of spots; lengths in µm, or all in pixels with `in_pixels`.

    In two dimensions `axial_elongation` has no effect.
    """

    # all lengths are in pixels: the image's voxel size does not count
    in_pixels: bool = False
    # standard deviations [µm] in y and x of the spots to look for
    sigmas_um: tuple[Positive, ...] = Field((0.12, 0.18), min_length=1, max_length=8, strict=False)
    # the widths are to begin with: the clearest spots tell that to look for
    measure_width: bool = False
    # how many times larger the standard deviation of a spot is along z
    axial_elongation: float = Field(2.5, ge=0.1, le=10)
    threshold: Positive = 3.0  # least response to the filter, in standard deviations of its noise
    minimum_snr: NotNegative = 3.0  # least height of a fitted spot, in its standard deviations
    # least standard deviation of a fitted spot, of the smallest to look for
    narrowest: Positive = 0.6
    # largest standard deviation of a fitted spot, of the largest to look for
    widest: Positive = 1.8
    # least distance of two spots, in the smallest standard deviation
    minimum_distance: NotNegative = 1.0
    # most searches for spots; the second and later ones look at the residual
    passes: int = Field(5, ge=1, le=5)
