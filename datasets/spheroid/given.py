"""Cells of a spheroid from labels of a user, in place of a tessellation around nuclei."""

import numpy as np

from cytosuite.bodies.grid import Grid, Labels
from cytosuite.datasets.cells.given import nearest, on_grid
from cytosuite.datasets.physics.sketch import boundary
from cytosuite.files import ScalarMap, frozen
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Doubles, Image, Lengths
from cytosuite.volume.objects import box_of


@frozen
class GivenCells:
    """Cells 1 to N of labels at their place."""

    labels: Labels  # (Z, Y, X)
    grid: Grid
    facts: ScalarMap  # for the record of the case

    @classmethod
    def of(cls, source: Volume, middle_um: Lengths) -> "GivenCells":
        """Return the cells of labels, the middle of the box around all of them at a place."""
        whole = on_grid(source, Grid(source.shape, source.spacing))
        labels = np.pad(whole[box_of(whole > 0)], 1)  # the faces of the file are borders
        return cls(labels, Grid.around(labels.shape, source.spacing, middle_um), source.metadata)

    def __len__(self) -> int:
        """Return the number of cells."""
        return int(self.labels.max())

    def label(self, grid: Grid) -> Labels:
        """Return the labels (Z, Y, X) on a grid."""
        return nearest(self.labels, self.grid, grid)

    def membranes(self, grid: Grid, thickness_um: float, brightness: Doubles) -> Image:
        """Return the dye (Z, Y, X) of membranes; across one ``thickness_um * brightness / 2``."""
        more = [int(np.ceil(thickness_um / step)) + 1 for step in grid.spacing]
        labels = self.label(grid.wider(more))
        walls = boundary(Volume(labels, grid.spacing), thickness_um).array.astype(np.float32)
        share = thickness_um / 2 / max(thickness_um, 2 * grid.voxel_um)
        walls *= (np.append(brightness.mean(), brightness) * share).astype(np.float32)[labels]
        return walls[tuple(slice(n, -n) for n in more)]
