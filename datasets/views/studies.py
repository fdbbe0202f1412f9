"""The five studies of Fuse My Cells: shapes, voxel sizes, and the ways on which light is lost."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cytosuite.datasets.physics.grid import Grid

LEAST = (12, 64, 64)  # voxels of a scaled volume: room for the window of SSIM and for networks

Ends = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Study:
    """An acquisition study.

    Parameters
    ----------
    shape : tuple of int
        Voxels along z, y, x of its volumes.
    spacing_um : tuple of float
        µm per voxel.
    detection : tuple of float
        Range of the share of emitted light that passes the height of the image in tissue.
    illumination : mapping of int to tuple of float
        By the axis along which a sheet of light enters: range of the share of it that passes the
        length of the image in tissue. Without an axis the sheets come from both sides, evenly.

    Notes
    -----
    Shapes and voxel sizes, and the axes with a gradient of brightness, are those that a participant
    measured and published with his entry; the shares are our own choice.
    """

    shape: tuple[int, int, int]
    spacing_um: tuple[float, float, float]
    detection: Ends
    illumination: Mapping[int, Ends] = field(default_factory=dict)

    def grid(self, scale: float) -> Grid:
        """Return the voxels of an image with sides scaled by a factor, at the same voxel size."""
        sides = zip(self.shape, LEAST, strict=True)
        return Grid(tuple(max(least, round(n * scale)) for n, least in sides), self.spacing_um)


DEEP, SIDE = (0.08, 0.35), (0.08, 0.35)
STUDIES: Mapping[int, Study] = MappingProxyType(
    {
        1: Study((222, 731, 860), (1.0, 0.195, 0.195), DEEP),
        2: Study((264, 2008, 1091), (1.0, 0.195, 0.195), DEEP),
        3: Study((891, 817, 817), (1.0, 0.39, 0.39), (0.2, 0.5), {1: (0.3, 0.6), 2: (0.3, 0.6)}),
        4: Study((80, 1920, 1920), (3.0, 0.33, 0.33), (0.6, 0.9), {2: SIDE}),
        5: Study((309, 1920, 1920), (1.01, 0.388, 0.388), (0.6, 0.9), {2: SIDE}),
    }
)
