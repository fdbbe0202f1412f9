"""Simulate cells with nuclei and spots: their labels, their light, and the images of a camera."""

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from cytosuite.bodies.grid import Grid, Labels
from cytosuite.bodies.stars import label
from cytosuite.contract.points import Points
from cytosuite.contract.tasks import IMAGE, LABELS, POINTS
from cytosuite.datasets.cells import spots as points
from cytosuite.datasets.cells.culture import DIVIDING, DYING, TWO, Culture, grow
from cytosuite.datasets.cells.given import read_cells
from cytosuite.datasets.cells.parameters import Parameters
from cytosuite.datasets.cells.placement import depth_um
from cytosuite.datasets.cells.spots import Spots
from cytosuite.datasets.physics.bodies import chromatin_tile, paint
from cytosuite.datasets.physics.debris import draw_blobs, paint_blobs
from cytosuite.datasets.physics.labels import type_map, voxel_values
from cytosuite.datasets.physics.psf import Gaussian
from cytosuite.datasets.physics.render import render_whole
from cytosuite.datasets.ranges import draw_whole, log_uniform
from cytosuite.datasets.sample import Sample, measured
from cytosuite.datasets.scene import generator
from cytosuite.files import Entries, FloatDict, Json, Scalars
from cytosuite.volume import Volume, merged
from cytosuite.volume.arrays import Box, Image, Integers, Rng, Unsigned
from cytosuite.volume.objects import box_at

__all__ = ["Parameters", "generate"]

STUDY = "simulated-cells"
TABLE = "spot-table"
LEVELS = ("cytoplasm_photons", "nuclei_photons", "background_photons")  # drawn in this order
CHROMATIN_UM = 0.5  # size of the clumps of chromatin
WHOLE_UM = 24.0  # of a tile of noise along z, in a plane
NAMES = {"cytoplasm": "cytoplasm", "nuclei": "nucleus", "spots": "spots", "sum": "sum"}


def _draw(rng: Rng, parameters: Parameters) -> Sample:
    """Return image, labels, points and extras; InputError if crowded."""
    for_cells, for_dye, for_spots, for_stray, for_camera, *others = rng.spawn(8)
    for_own, for_source, for_optics = others
    source = None
    if parameters.cells.source:
        cells = parameters.cells
        source = read_cells(for_source, cells.source, cells.source_um, parameters.image.axes)
        parameters = parameters.sized(source)
    culture = grow(for_cells, parameters, source)
    dyes, drawn = _dyes(for_dye, culture, parameters)
    parameters = parameters.seen_by(for_optics, drawn)
    psf = point_spread(parameters)
    detector = parameters.image.detector
    glow = _debris(for_stray, culture.grid, parameters)
    if glow is not None:
        dyes = {name: dye + glow for name, dye in dyes.items()}
    light = {name: render_whole(dye, culture.grid, detector, psf) for name, dye in dyes.items()}
    spots = None
    missed = 0
    if parameters.spots:
        own_light = drawn["autofluorescence"] = for_own.uniform(*parameters.dyes.autofluorescence)
        spots, missed = points.draw(for_spots, culture, parameters)
        light["spots"] = points.light(spots, detector, psf)
        light["spots"] += np.float32(own_light) * light["cytoplasm"]
        if glow is not None:
            light["spots"] += render_whole(glow, culture.grid, detector, psf)
    light["sum"] = np.sum(list(light.values()), axis=0, dtype=np.float32)
    for image in light.values():
        image += np.float32(drawn["background_photons"])
    known = {**(source.metadata if source else {}), **parameters.light(), **drawn}
    images = {}
    for (name, photons), stream in zip(light.items(), for_camera.spawn(len(light)), strict=True):
        hit = photons  # each channel is exposed on its own
        if parameters.stray.rays[1] > 0:
            hit = photons.copy()
            _rays(stream, hit, parameters)
        images[name] = parameters.camera.expose(stream, hit)
    return _sample(culture, spots, missed, images, light, known, parameters)


generate = generator("cells", Parameters, _draw)


def point_spread(parameters: Parameters) -> Gaussian:
    """Return the point spread function; a plane's light is not spread along z."""
    z, *across = parameters.optics.sigma_um
    return Gaussian((0.0 if parameters.image.plane else z, *across))


def _dyes(rng: Rng, culture: Culture, parameters: Parameters) -> tuple[dict[str, Image], FloatDict]:
    """Return the photons (Z, Y, X) of cytoplasm and nuclei before the blur, and drawn levels."""
    for_level, for_noise, for_clumps = rng.spawn(3)
    dyes = parameters.dyes
    grid = culture.grid
    levels = dict([*dyes, *parameters.camera])
    drawn = {name: float(for_level.uniform(*levels[name])) for name in LEVELS}
    noise = Grid(grid.shape, (WHOLE_UM, *grid.spacing[1:])) if parameters.image.plane else grid
    tile = chromatin_tile(for_noise, noise, dyes.texture_um)
    dye = voxel_values(
        culture.cells, np.exp(dyes.spread * for_level.normal(size=len(culture.kinds))), np.float32
    )
    if parameters.image.plane:
        dye *= culture.thickness
    _stain(for_noise, dye, culture.cells, tile, dyes.contrast)
    dye[culture.nuclei > 0] *= np.float32(dyes.in_nucleus)
    if dyes.membrane > 0:
        depth = depth_um(culture.cells, culture.grid)
        dye[(depth > 0) & (depth <= dyes.membrane_um)] += np.float32(dyes.membrane)
    dye *= np.float32(drawn["cytoplasm_photons"])
    clumps = chromatin_tile(for_clumps, noise, CHROMATIN_UM)
    cores = paint(culture.bodies, culture.centres_um, grid, clumps, np.zeros_like(dye))
    near = ndimage.grey_dilation(culture.nuclei, (1, 3, 3))  # the soft rim of a nucleus
    cores[(near > 0) & (culture.cells > 0) & (near != culture.cells)] = 0  # in cells of others
    cores *= np.float32(drawn["nuclei_photons"])
    return {"cytoplasm": dye, "nuclei": cores}, drawn


def _stain(rng: Rng, dye: Image, cells: Labels, tile: Image, contrast: float) -> None:
    """Multiply the dye by log-normal noise of mean 1, in place; each cell has its own."""
    if contrast == 0:
        return
    for number, box in enumerate(ndimage.find_objects(cells), start=1):
        starts = rng.integers(0, tile.shape)
        if box is None:
            continue
        ticks = [
            (np.arange(span.start, span.stop) + start) % size
            for span, start, size in zip(box, starts, tile.shape, strict=True)
        ]
        factor = np.exp(np.float32(contrast) * tile[np.ix_(*ticks)] - np.float32(contrast**2 / 2))
        np.multiply(dye[box], factor, out=dye[box], where=cells[box] == number)


def _debris(rng: Rng, grid: Grid, parameters: Parameters) -> Image | None:
    """Return the photons (Z, Y, X) of autofluorescent blobs, None without any."""
    stray = parameters.stray
    count = draw_whole(rng, stray.debris)
    if not count:
        return None
    places = rng.uniform(grid.origin, np.add(grid.origin, grid.size_um), (count, 3))
    if parameters.image.plane:
        places[:, 0] = 0.5
    size = stray.debris_um
    blobs = draw_blobs(
        rng, places, sigma_z_um=size, sigma_xy_um=size, brightness=stray.debris_photons
    )
    return paint_blobs(blobs, grid, np.zeros(grid.shape, np.float32))


def _rays(rng: Rng, photons: Image, parameters: Parameters) -> None:
    """Add straight tracks of cosmic rays to the photons of an exposure, in place."""
    stray = parameters.stray
    shape = np.array(photons.shape[1:])
    for _ in range(draw_whole(rng, stray.rays)):
        length = draw_whole(rng, stray.ray_voxels)
        plane = rng.integers(len(photons))
        turn = rng.uniform(0, 2 * np.pi)
        steps = np.arange(length)[:, None] * [np.sin(turn), np.cos(turn)]
        track = np.unique(np.floor(rng.uniform(0, shape) + steps).astype(int), axis=0)
        y, x = track[((track >= 0) & (track < shape)).all(axis=1)].T
        photons[plane, y, x] += np.float32(log_uniform(rng, stray.ray_photons))


def _sample(
    culture: Culture,
    spots: Spots | None,
    missed: int,
    images: Mapping[str, Unsigned],
    light: Mapping[str, Image],
    known: Scalars,
    parameters: Parameters,
) -> Sample:
    """Return all that lies in the image, cells numbered anew."""
    detector, shown, volume = parameters.image.detector, parameters.shown, parameters.image.volume
    window = box_at(np.subtract(culture.grid.shape, detector.shape) // 2, detector.shape)
    numbers = np.unique(culture.cells[window])
    numbers = numbers[numbers > 0]
    new = np.zeros(len(culture.kinds) + 1, np.uint16)
    new[numbers] = np.arange(1, len(numbers) + 1)
    cells = new[culture.cells[window]]
    of_cells = new[culture.nuclei[window]]
    nuclei = _apart(culture, of_cells, window, len(numbers))
    target, by_cell, others = nuclei, of_cells, {"cell-labels": volume(cells)}
    if shown.target == "cells":
        target, by_cell, others = cells, cells, {"nucleus-labels": volume(of_cells)}
    seen = {
        name: volume(image, **parameters.channel(NAMES[name], study=STUDY))
        for name, image in images.items()
    }
    names = ("cytoplasm", "nuclei") if shown.image == "both" else (shown.image,)
    main = merged([seen[name] for name in names])
    facts = known | _facts(culture, numbers, nuclei, images, parameters)
    sockets: dict[str, Volume | Entries] = {
        IMAGE.slug: main,
        LABELS.slug: volume(target),
    }
    conditions: Scalars = measured(main.channels[0].array, target)
    if spots is not None:
        listed = spots.take(points.inside(spots, detector))
        table = _table(listed, new, light[names[0]], parameters)
        sockets[POINTS.slug] = _document(listed, table, parameters)
        sockets[TABLE] = table
        snr = float(np.median(table["snr"])) if len(listed) else 0.0
        facts |= {"n_spots": len(listed), "spots_without_room": missed, "spot_snr": snr}
        conditions |= {"spots": len(listed), "spot signal / noise": snr}
    extras = {f"{name}-image": image for name, image in seen.items() if name not in names}
    extras |= others
    extras["channels"] = merged([image for name, image in seen.items() if name != "sum"])
    if len(parameters.cells.kinds) > 1:
        extras["cell-kinds"] = volume(type_map(by_cell, culture.kinds[numbers - 1]))
    return Sample(
        sockets=sockets,
        metadata=facts,
        extras=extras,
        conditions=conditions,
        min_object_voxels=parameters.cells.min_voxels,
        radius_um=shown.radius_um or None,
    )


def _apart(culture: Culture, nuclei: Labels, window: Box, count: int) -> Labels:
    """Return nuclei (Z, Y, X), the second of a cell with a number beyond `count`."""
    more = culture.states[culture.owners - 1] != DYING  # its pieces are one object
    more[np.unique(culture.owners, return_index=True)[1]] = False
    if not more.any():
        return nuclei
    numbers = np.where(more, count + np.cumsum(more), 0)
    bodies = voxel_values(
        label(culture.bodies, culture.centres_um, culture.grid)[window], numbers, np.uint16
    )
    return np.where((nuclei > 0) & (bodies > 0), bodies, nuclei)


def _facts(
    culture: Culture,
    numbers: Integers,
    nuclei: Labels,
    images: Mapping[str, Unsigned],
    parameters: Parameters,
) -> Scalars:
    """Return measured facts of a case."""
    states = culture.states[numbers - 1]
    full = parameters.camera.full_scale
    facts: Scalars = {
        "n_cells": len(numbers),
        "n_nuclei": int(np.count_nonzero(np.unique(nuclei))),
        "n_two_nuclei": int(np.count_nonzero(states == TWO)),
        "n_dividing": int(np.count_nonzero(states == DIVIDING)),
        "n_dying": int(np.count_nonzero(states == DYING)),
        "n_shrunk_nuclei": culture.shrunk,
    }
    for name, image in images.items():
        facts[f"clipped_{name}"] = float((image == full).mean())
    return facts


def _table(spots: Spots, new: Labels, light: Image, parameters: Parameters) -> Json:
    """Return the table of spots by column: places in µm and pixels, both 0 in the first one."""
    psf, detector, axes = point_spread(parameters), parameters.image.detector, "zyx"
    pixels = spots.places_um / detector.spacing - 0.5
    sd = spots.sd_um(psf)
    snr = points.noise(spots, light, detector, psf, parameters.camera.read_noise[0])
    columns: Json = {
        "id": np.arange(1, len(spots) + 1),
        "cell": new[spots.cells],
        "kind": spots.kinds + 1,
    }
    for axis in (1, 2) if parameters.image.plane else (0, 1, 2):
        columns |= {
            f"{axes[axis]}_um": pixels[:, axis] * detector.spacing[axis],
            f"{axes[axis]}_px": pixels[:, axis],
            f"sd_{axes[axis]}_um": sd[:, axis],
        }
    columns |= {"photons": spots.photons, "snr": snr}
    return {name: np.round(values, 6).tolist() for name, values in columns.items()}


def _document(spots: Spots, table: Entries, parameters: Parameters) -> Entries:
    """Return the spots as the points of the task `detect`."""
    axes = "yx" if parameters.image.plane else "zyx"
    places = np.stack([table[f"{axis}_px"] for axis in axes], axis=1)
    cells = np.array(table["cell"], np.int64)
    return Points(
        places, parameters.image.spacing_um, cells=cells, photons=spots.photons
    ).document()
