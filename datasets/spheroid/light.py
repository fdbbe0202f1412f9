"""Compute the photons expected in each voxel of the detector from a spheroid."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from cytosuite.bodies.grid import Grid
from cytosuite.contract.spacing import text
from cytosuite.datasets.physics import bodies, debris, psf
from cytosuite.datasets.physics.cells import Tessellation, grow_cells
from cytosuite.datasets.physics.grid import copied
from cytosuite.datasets.physics.optics import Attenuation
from cytosuite.datasets.physics.psf import Psf
from cytosuite.datasets.physics.render import Watch, render, simulation_grid
from cytosuite.datasets.scene import MICROSCOPE
from cytosuite.datasets.spheroid.given import GivenCells
from cytosuite.datasets.spheroid.parameters import Drawn, Parameters
from cytosuite.datasets.spheroid.spheroid import Spheroid
from cytosuite.errors import InputError
from cytosuite.files import Scalar
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Doubles, Image, Rng
from cytosuite.volume.pieces import slabs_of

PSF_DEPTHS = 4  # of a computed point spread function that changes with depth
PHYSICAL = MICROSCOPE - {"magnification"} | {"index_sample", "pinhole_airy", "sheet_um"}


@dataclass(slots=True)
class Specimen:
    """A spheroid as it shines, on any slab of the simulation grid."""

    spheroid: Spheroid
    parameters: Parameters
    drawn: Drawn
    cells: Tessellation | GivenCells | None = None  # around the nuclei
    stain: Doubles = field(default_factory=lambda: np.zeros(0))  # (N,), of membranes
    _tiles: dict[float, Image] = field(default_factory=dict)
    _uneven: Image | None = None
    _share: tuple[Grid, Image] | None = None

    def volume(self, array: Array, **facts: Scalar) -> Volume:
        """Return an image (Z, Y, X) as it is written: where the objective says so turned over."""
        last = self.parameters.optics.objective == "last"
        return self.parameters.image.volume(copied(array[::-1]) if last else array, **facts)

    def draw_chromatin(self, rng: Rng, grid: Grid) -> None:
        """Draw the noise of chromatin, a tile per size of clumps, and of the glow."""
        for size in dict.fromkeys(kind.chromatin_um for kind in self.parameters.all_kinds()):
            self._tiles[size] = bodies.chromatin_tile(rng, grid, size)
        spread = np.float32(self.drawn["cytoplasm_spread"])
        if spread > 0:
            noise = bodies.chromatin_tile(rng, grid, self.parameters.optics.cytoplasm_um)
            self._uneven = np.exp(spread * noise - spread**2 / 2)  # of mean 1

    def grow_cells(self, rng: Rng) -> None:
        """Grow a cell around each nucleus, the dying ones included."""
        cells = self.parameters.cells
        packed = self.spheroid.packed
        living = self.spheroid.outline.living
        self.cells = self.spheroid.cells or grow_cells(
            rng,
            packed.bodies.semi_axes_um,
            packed.bodies.rotations,
            packed.centres_um,
            living.on,
            living.grid,
            volume_spread=cells.volume_spread,
            wrinkle_um=cells.wrinkle_um,
        )
        spread = np.exp(rng.normal(0.0, cells.membrane_spread, len(self.cells)))
        self.stain = cells.membrane_brightness * spread

    def share(self, grid: Grid) -> Image:
        """Return the share (Z, Y, X) of each voxel that is tissue; the core by its density."""
        if self._share is None or self._share[0] != grid:
            room = self.spheroid.outline
            step = np.float32(1 / grid.voxel_um)
            share = np.clip(0.5 - room.living.on(grid) * step, 0, 1)
            density = np.float32(self.drawn["core_tissue"])
            if room.core and density > 0:
                share += density * np.clip(0.5 - room.core.on(grid) * step, 0, 1)
                np.minimum(share, 1, out=share)
            self._share = grid, share
        return self._share[1]

    def nuclei(self, grid: Grid) -> Image:
        """Return the dye (Z, Y, X) in the channel of the nuclei, 1 in a median nucleus."""
        image = self.share(grid) * np.float32(self.drawn["cytoplasm"])
        if self._uneven is not None:
            places = (np.arange(n) + f for n, f in zip(grid.shape, grid.first, strict=True))
            period = self._uneven.shape
            image *= self._uneven[np.ix_(*(p % n for p, n in zip(places, period, strict=True)))]
        debris.paint_blobs(self.spheroid.blobs, grid, image)
        kinds = self.parameters.all_kinds()
        for (part, points), kind in zip(self.spheroid.bodies(), kinds, strict=True):
            bodies.paint(part, points, grid, self._tiles[kind.chromatin_um], image)
        tile = self._tiles[kinds[0].chromatin_um]
        for part, points in self.spheroid.debris:
            bodies.paint(part, points, grid, tile, image)
        if self.cells is not None and self.drawn["bleed_through"] > 0:
            image += np.float32(self.drawn["bleed_through"]) * self.membranes(grid)
        return image

    def membranes(self, grid: Grid) -> Image:
        """Return the dye (Z, Y, X) in the channel of the membranes."""
        assert self.cells is not None
        image = self.share(grid) * np.float32(self.drawn["membrane_glow"])
        image += self.cells.membranes(grid, self.parameters.cells.membrane_um, self.stain)
        return image


def point_spread(parameters: Parameters, drawn: Drawn) -> Psf:
    """Return the point spread function of a case; InputError if a measured one cannot be read."""
    optics = parameters.optics
    if optics.psf == "file":
        spacing = None if optics.psf_um == "auto" else optics.psf_um
        return psf.measured([Path(name) for name in optics.psf_files], spacing)
    if optics.psf == "physical":
        depths = np.linspace(0.0, parameters.image.detector.size_um[0], PSF_DEPTHS)
        return psf.physical(
            optics.microscope, **optics.model_dump(include=PHYSICAL), depths_um=depths.tolist()
        )
    lateral = drawn["psf_sigma_xy_um"]
    return psf.Gaussian(
        (drawn["psf_sigma_z_um"], lateral, lateral),
        haze=drawn["haze"],
        haze_sigma_um=optics.haze_sigma_um,
        growth=drawn["psf_growth"],
    )


def grid_for(parameters: Parameters, spread: Psf) -> Grid:
    """Return the grid of the simulation; InputError if the blur is larger than the image."""
    detector = parameters.image.detector
    reach = spread.reach_um(detector.size_um[0])
    if any(a > b for a, b in zip(reach, detector.size_um, strict=True)):
        raise InputError(
            f"the point spread function reaches {text(reach)} µm from its middle, farther than the "
            f"image of {text(detector.size_um)} µm is large; check its voxel size (optics.psf_um) "
            "or widths, or raise image.shape"
        )
    return simulation_grid(detector, parameters.image.oversampling, reach)


def expected_photons(
    specimen: Specimen,
    paint: Callable[[Grid], Image],
    grid: Grid,
    spread: Psf,
    watch: Watch | None,
) -> Image:
    """Return the photons (Z, Y, X) expected of a channel (`paint`), background included."""
    drawn = specimen.drawn
    room = specimen.spheroid.outline
    detector = specimen.parameters.image.detector
    optics = specimen.parameters.optics
    delay = optics.attenuation_delay_um
    law = Attenuation(optics.attenuation, drawn["attenuation_um"], delay, optics.attenuation_floor)
    above = room.living.above_um(grid)
    if room.core:
        above += np.float32(drawn["core_tissue"]) * room.core.above_um(grid)
    photons = render(paint, specimen.share, grid, detector, spread, law, above, watch=watch)
    for part in slabs_of(photons):
        part *= np.float32(drawn["photons"])
        part += np.float32(drawn["background_photons"])
    return photons
