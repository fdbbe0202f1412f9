"""The parameters of the watershed segmenter, with their units and bounds."""

from dataclasses import dataclass
from math import inf, isfinite

from cytosuite.errors import InputError

_BOUNDS: dict[str, tuple[float, float]] = {
    "smoothing_um": (0.0, inf),
    "axial_elongation": (0.1, 10.0),
    "background_um": (0.0, inf),
    "threshold_factor": (0.0, 10.0),
    "local_um": (0.0, inf),
    "local_weight": (0.0, 1.0),
    "blob_fraction": (-10.0, 1.0),
    "distance_weight": (0.0, 4.0),
    "merge_ratio": (0.0, 1.0),
    "object_factor": (0.0, 10.0),
    "object_weight": (0.0, 1.0),
    "passes": (1, 5),
    "opening_um": (0.0, inf),
    "minimum_size": (0.0, inf),
    "maximum_size": (0.0, inf),
    "minimum_contrast": (0.0, 10.0),
    "minimum_snr": (0.0, inf),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the watershed segmenter has to know about the nuclei and the microscope.

    Lengths are in µm, so that one set serves every voxel size. In two dimensions
    `axial_elongation` has no effect.

    Parameters
    ----------
    smoothing_um : float
        Standard deviation in y and x, in µm, of the Gaussian applied before thresholds.
    axial_elongation : float
        How many times taller (z) than wide nuclei look; scales every length along z.
    background_um : float
        Radius in µm of the uneven background to remove; 0 removes a constant only.
    threshold_factor : float
        Global threshold as a multiple of Li's minimum cross entropy threshold.
    local_um : float
        Standard deviation in µm of the surroundings that shift the threshold.
    local_weight : float
        How much they shift it: 0 not at all, 1 the threshold is proportional to their mean.
    radii_um : tuple of float
        Nucleus radii in µm looked for by the Laplacian of Gaussian.
    blob_fraction : float
        Foreground voxels have a blob response of at least this fraction of their intensity:
        the gaps between nuclei have a negative one.
    relative_radii : tuple of float
        Radii as multiples of the typical radius found in the image, kept within the range of
        `radii_um`; empty: `radii_um` are taken as they are.
    distance_weight : float
        Exponent of the distance to the border in the seed map; 0 seeds by intensity alone.
    merge_ratio : float
        Two neighbouring basins are one nucleus when the saddle between them is at least this
        fraction of the lower of their two peaks in the seed map.
    object_factor, object_weight : float
        A nucleus ends where the intensity falls below
        ``object_factor threshold^(1 - object_weight) mean^object_weight`` with its own mean.
    passes : int
        How often seeds, basins and extents are found; from the second pass on the distances are
        those inside the extents of the pass before.
    opening_um : float
        Radius in µm of the opening that removes thin protrusions; 0 switches it off.
    minimum_size, maximum_size : float
        Smallest and largest object kept, in µm³ (µm² in two dimensions).
    minimum_contrast : float
        Smallest mean intensity of an object as a multiple of the global threshold.
    minimum_snr : float
        Smallest mean intensity of an object in units of the noise left after smoothing.

    Raises
    ------
    InputError
        If a value is not a finite number within its bounds.
    """

    smoothing_um: float = 0.8
    axial_elongation: float = 1.5
    background_um: float = 0.0
    threshold_factor: float = 1.0
    local_um: float = 12.0
    local_weight: float = 0.4
    radii_um: tuple[float, ...] = (4.0, 6.0)
    blob_fraction: float = -1.2
    relative_radii: tuple[float, ...] = ()
    distance_weight: float = 1.5
    merge_ratio: float = 0.9
    object_factor: float = 0.9
    object_weight: float = 0.35
    passes: int = 2
    opening_um: float = 1.0
    minimum_size: float = 60.0
    maximum_size: float = inf
    minimum_contrast: float = 0.0
    minimum_snr: float = 4.0

    def __post_init__(self) -> None:
        """Refuse values outside their bounds; cards give lists where tuples are meant."""
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise InputError(f"{name} must be a number, found {value!r}")
            if not (isfinite(value) or name == "maximum_size") or not low <= value <= high:
                raise InputError(f"{name} must be in [{low:g}, {high:g}], found {value!r}")
        if self.passes != int(self.passes):
            raise InputError(f"passes must be a whole number, found {self.passes!r}")
        for name in ("radii_um", "relative_radii"):
            values = tuple(float(value) for value in getattr(self, name))
            if not all(isfinite(value) and value > 0 for value in values):
                raise InputError(f"{name} must be positive numbers, found {list(values)}")
            object.__setattr__(self, name, values)
        if not self.radii_um:
            raise InputError("radii_um must give at least one length in µm, found none")
