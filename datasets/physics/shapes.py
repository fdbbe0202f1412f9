"""Nuclei drawn from distributions, painted and labelled in their own boxes; z, y, x in µm."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.harmonics import fibonacci_sphere
from cytosuite.bodies.stars import Patch
from cytosuite.datasets.physics.bodies import BALL
from cytosuite.files import frozen
from cytosuite.volume.arrays import Bools, Doubles, Image, Integers, Longs, Rng, Rows

INTERPHASE, PROPHASE, METAPHASE, LATE, FRAGMENT = range(5)
MITOSIS = (0.3, 0.4, 0.3)  # shares of prophase, metaphase and late among the mitotic

WAVES = 8  # plane waves summed to displace a surface
WAVE_NUMBERS = (2.0, 5.0)  # their undulations per radian: bulges, not ripples
SPHERE = fibonacci_sphere()

# One value per phase.
CONTRAST = (1.0, 1.0, 0.8, 0.8, 0.3)  # times the nucleus'
THREADS = (0.0, 2.2, 1.2, 1.2, 0.0)  # times the contrast
RIM = (0.7, 0.3, 0.0, 0.0, 0.0)  # how much denser the dye is just below the surface
RIM_UM = 0.45  # thickness of that layer
ROUGHNESS = (1.0, 1.0, 1.6, 1.6, 1.0)  # times the population's

FLAT = (1.6, 2.5)  # longest to shortest axis of a flat nucleus
PLATE = (0.35, 0.6)  # thickness to width of a metaphase plate
CONDENSED = (0.2, 0.35)  # volume of condensed chromatin / of resting chromatin
CONDENSING = 0.7  # brightness grows as the volume to the power of minus this
THICKNESS = (0.2, 0.32)  # of a plate, in units of the long axis, to its width in the others'
BEND = (0.1, 0.35)  # edges follow towards the poles
CLEAR = 1.15  # plates are at least this much farther apart than where they touch
LEAST = 1 / 3  # of a semi-axis, of tightly drawn nuclei
MARGIN = 0.95  # of the way to the surface of the nucleus before division


@frozen
class Nuclei(Rows):
    """A population of nuclei: ellipsoids, bent and with smoothly displaced surfaces."""

    semi_axes_um: Doubles  # (N, 3), of the ellipsoid of the same volume, drawn shortest first
    rotations: Doubles  # (N, 3, 3), columns are the directions (z, y, x) of the axes
    waves: Doubles  # (N, 3 + 1, K), wave vector and phase of the surface displacement
    roughness: Doubles  # (N,), root mean square of the relative displacement
    bend: Doubles  # (N,), shift of the edge against the first axis, in units of it
    brightness: Doubles  # (N,), mean density of the dye relative to the median nucleus
    contrast: Doubles  # (N,), standard deviation of ln(chromatin density) in interphase
    nucleoli: Doubles  # (N, M, 4), centre and radius in units of the semi-axes; 0: none
    phase: Longs  # (N,); LATE: a pair to come, see `divide`
    offsets: Longs  # (N, 3), where in the chromatin tile each is cut from

    @property
    def mitotic(self) -> Bools:
        """Mask (N,) of the nuclei in any phase of mitosis."""
        return (self.phase >= PROPHASE) & (self.phase <= LATE)

    def looser(self, um: float) -> "Nuclei":
        """Return nuclei that reach some µm farther, or less far, to a third of themselves."""
        axes = self.semi_axes_um
        return replace(self, semi_axes_um=np.maximum(axes + um, axes * LEAST))

    def posed(self, semi_axes_um: Doubles, rotations: Doubles) -> "Nuclei":
        """Return nuclei of other semi-axes (N, 3) and rotations (N, 3, 3)."""
        return replace(self, semi_axes_um=semi_axes_um, rotations=rotations)

    def patches(self, centres_um: Doubles, grid: Grid, rim_um: float = 0.0) -> Iterator[Patch]:
        """Yield each nucleus that touches a grid; 0.05 ms for 5,000 voxels."""
        from cytosuite.bodies._kernels import bounds  # compiled on first use
        from cytosuite.datasets.physics import _body_kernels

        rims = 1 + rim_um / self.semi_axes_um.min(axis=1)
        farthest = self.semi_axes_um.max(axis=1) * rims
        farthest *= 1.1 + 2.1 * np.abs(self.bend) + 6 * self.roughness
        sphere = SPHERE.astype(np.float32)
        for index in grid.near(centres_um, farthest).tolist():
            waves = self.waves[index].astype(np.float32)
            roughness = np.float32(self.roughness[index])
            bend = np.float32(self.bend[index])
            surface = _body_kernels.measure(sphere, waves, roughness)
            reach = bounds(surface[2] * rims[index], float(bend))
            spokes = self.rotations[index] * self.semi_axes_um[index] * reach
            box = grid.box(centres_um[index], np.sqrt((spokes**2).sum(axis=1)))
            if box is None:
                continue
            z, y, x = grid.ticks(box, centres_um[index])
            to_axes = (self.rotations[index] / self.semi_axes_um[index]).T
            form = (bend, waves, roughness, surface, float(rims[index]))
            to_axes = np.array(to_axes, np.float32, order="C")
            yield Patch(index, box, *_body_kernels.cut(z, y, x, to_axes, *form))

    def density(self, patch: Patch, grid: Grid, tile: Image) -> Image:
        """Return the dye (n,) in the voxels of a patch, 1 on average in a median nucleus.

        Of contrast `c` and two cuts `t`, `u` of `tile`: clumps ``exp(c t - c² / 2)`` times threads
        ``1 - a + 3 a exp(-t² - u²)``, a patchy rim and dark nucleoli, scaled to `brightness`.
        """
        from cytosuite.datasets.physics import _body_kernels  # compiled on first use

        i = patch.index
        phase = int(self.phase[patch.index])
        contrast = float(self.contrast[i])
        threads = min(THREADS[phase] * contrast, 0.8)
        begin = np.array([span.start for span in patch.box]) + grid.first + self.offsets[i]
        return _body_kernels.dye(
            np.array(patch.shape),
            patch.inside,
            patch.position,
            patch.distance,
            tile,
            np.stack([begin, begin + np.array(tile.shape) // 2]),
            self.semi_axes_um[i].astype(np.float32),
            self.nucleoli[i].astype(np.float32),
            BALL,
            np.array((CONTRAST[phase] * contrast, threads, RIM[phase], RIM_UM), np.float32),
            np.float32(self.brightness[i]),
            np.float32(grid.voxel_um),
        )


def draw_nuclei(
    rng: Rng,
    count: int,
    *,
    diameter_um: float,
    diameter_spread: float = 0.08,
    axis_spread: float = 0.12,
    flat_fraction: float = 0.0,
    roughness: float = 0.04,
    brightness: float = 1.0,
    brightness_spread: float = 0.25,
    contrast: float = 0.3,
    nucleoli: int = 3,
    mitotic_fraction: float = 0.0,
) -> Nuclei:
    """Return random nuclei: medians, spreads of logarithms, relative `roughness`."""
    limits = 1 - mitotic_fraction * (1 - np.cumsum((0.0, *MITOSIS[:-1])))
    phase = np.searchsorted(limits, rng.random(count), side="right").astype(np.int64)
    flat = (rng.random(count) < flat_fraction) & (phase < METAPHASE)
    condensed = rng.uniform(*CONDENSED, count)
    stages = [phase == PROPHASE, phase == METAPHASE]
    radius = np.select(stages, [1.2, condensed], 1.0) ** (1 / 3)
    factor = np.select(stages, [1.4, condensed**-CONDENSING], 1.0)
    radius *= diameter_um / 2 * np.exp(rng.normal(0.0, diameter_spread, count))
    axes = np.exp(_elongations(rng, phase, flat, axis_spread))
    resting = (phase == INTERPHASE)[:, None, None]
    return Nuclei(
        semi_axes_um=axes * radius[:, None],
        rotations=random_rotations(rng, count),
        waves=random_waves(rng, count),
        roughness=roughness * np.array(ROUGHNESS)[phase],
        bend=rng.uniform(0.0, 0.4, count) * flat,
        brightness=brightness * factor * np.exp(rng.normal(0.0, brightness_spread, count)),
        contrast=np.full(count, contrast),
        nucleoli=_nucleoli(rng, count, nucleoli) * resting,
        phase=phase,
        offsets=rng.integers(0, 1 << 20, (count, 3)),
    )


def align(nuclei: Nuclei, chosen: Integers, normals_um: Doubles) -> Nuclei:
    """Return the nuclei with the shortest axes of chosen ones (n,) along vectors (n, 3).

    An axis that points away turns over, then the smallest rotation: others keep their chance.
    """
    rotations = nuclei.rotations.copy()
    shortest = nuclei.semi_axes_um[chosen].argmin(axis=1)
    normals = of_length_1(normals_um)
    axes = rotations[chosen, :, shortest]
    turned = (axes * normals).sum(axis=1) < 0
    second = (shortest + 1) % 3
    flip = -np.ones((len(chosen), 3))
    flip[np.arange(len(chosen)), second] = 1.0
    current = rotations[chosen] * np.where(turned[:, None], flip, 1.0)[:, None, :]
    axes = np.where(turned[:, None], -axes, axes)
    rotations[chosen] = turns(axes, normals) @ current
    return replace(nuclei, rotations=rotations)


def turns(axes: Doubles, goals: Doubles) -> Doubles:
    """Return the smallest rotations (n, 3, 3) of unit vectors (n, 3) to others (Rodrigues 1840).

    ``R = c I + [v]x + v vᵀ / (1 + c)`` with ``v = a x g``, ``c = a . g``.
    """
    v = np.cross(axes, goals)
    c = (axes * goals).sum(axis=1)[:, None, None]
    cross = np.cross(np.eye(3), v[:, None])
    return np.asarray(c * np.eye(3) + cross + v[:, :, None] * v[:, None, :] / (1 + c))


def of_length_1(vectors: Doubles, axis: int = 1) -> Doubles:
    """Divide vectors by their lengths; their coordinates lie along `axis`."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=axis, keepdims=True))


def random_rotations(rng: Rng, count: int) -> Doubles:
    """Return uniformly distributed rotation matrices (N, 3, 3): normalised Gaussian quaternions."""
    q = rng.normal(size=(4, count))
    w, x, y, z = q / np.linalg.norm(q, axis=0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    return np.moveaxis(np.array(rows), 2, 0)


def about_axis(angles: Doubles, axis: int = 0) -> Doubles:
    """Return rotations (N, 3, 3) about z, or another axis, by angles (N,) in radians."""
    a, b = [number for number in range(3) if number != axis]
    turns = np.tile(np.eye(3), (len(angles), 1, 1))
    turns[:, a, a] = turns[:, b, b] = np.cos(angles)
    turns[:, b, a] = np.sin(angles)
    turns[:, a, b] = -np.sin(angles)
    return turns


def random_waves(rng: Rng, count: int) -> Doubles:
    """Return wave vectors of random direction and length, and phases (N, 4, K)."""
    directions = of_length_1(rng.normal(size=(count, 3, WAVES)))
    lengths = rng.uniform(*WAVE_NUMBERS, (count, 1, WAVES))
    phases = rng.uniform(0, 2 * np.pi, (count, 1, WAVES))
    return np.concatenate([directions * lengths, phases], axis=1)


def _elongations(rng: Rng, phase: Longs, flat: Bools, axis_spread: float) -> Doubles:
    """Return logarithms (N, 3) of the axes, ascending and of mean 0."""
    count = len(phase)
    logs = np.sort(rng.normal(0.0, axis_spread, (count, 3)), axis=1)
    ratio = np.log(rng.uniform(*FLAT, count))
    logs[flat] = np.stack([np.zeros(count), rng.random(count) * ratio, ratio], axis=1)[flat]
    logs[:, 0] += np.where(phase == METAPHASE, np.log(rng.uniform(*PLATE, count)), 0.0)
    logs[:, 2] += np.where(phase == LATE, np.log(rng.uniform(1.25, 1.5, count)), 0.0)
    return np.asarray(logs - logs.mean(axis=1, keepdims=True))


def _nucleoli(rng: Rng, count: int, most: int) -> Doubles:
    """Return centres and radii in units of the semi-axes (N, most, 4)."""
    directions = of_length_1(rng.normal(size=(count, most, 3)), axis=2)
    centres = directions * rng.uniform(0.0, 0.55, (count, most, 1))
    present = np.arange(most) < rng.integers(0, most + 1, (count, 1))
    radii = rng.uniform(0.15, 0.3, (count, most)) * present
    return np.concatenate([centres, radii[..., None]], axis=2)


def divide(rng: Rng, nuclei: Nuclei, centres_um: Doubles) -> tuple[Nuclei, Doubles, Longs]:
    """Replace late nuclei by plates of two daughters; return (M), centres (M, 3), old numbers.

    They fill `CONDENSED` of the ellipsoid; a plate with points ``(x, r)`` along and across, in
    semi-axes, may shift by ``-x`` (its side) to ``sqrt(1 - r²) - x`` (inside).
    """
    rest = np.flatnonzero(nuclei.phase != LATE)
    late = np.flatnonzero(nuclei.phase == LATE)
    count, before, middles = len(late), nuclei.take(late), centres_um[late]
    volume = rng.uniform(*CONDENSED, count)  # of both
    aspect = rng.uniform(*THICKNESS, count)
    width = (volume / 2 / aspect) ** (1 / 3)
    bend = -rng.uniform(*BEND, count)
    across = width[:, None] * np.hypot(SPHERE[1], SPHERE[2])
    curve = bend[:, None] * (SPHERE[1] ** 2 + SPHERE[2] ** 2 - 0.4)
    along = (aspect * width)[:, None] * (SPHERE[0] - curve)
    most = (np.sqrt(np.maximum(1 - across**2, 0.0)) - along).min(axis=1) * MARGIN
    shift = rng.uniform(np.minimum(-along.min(axis=1) * CLEAR, most), most)
    outer = before.semi_axes_um
    turn = before.rotations
    step = turn[:, :, 2] * (shift * outer[:, 2])[:, None]
    forward = turn[:, :, [2, 0, 1]]
    one = replace(
        before,
        semi_axes_um=outer[:, [2, 0, 1]] * np.stack([aspect * width, width, width], axis=1),
        rotations=forward,
        bend=bend,
        waves=random_waves(rng, count),
        brightness=before.brightness * volume**-CONDENSING,
    )
    backward = forward * np.array([-1.0, -1.0, 1.0])  # half a turn: the mirrored bend
    other = replace(one, rotations=backward, waves=random_waves(rng, count))
    offsets = np.concatenate([nuclei.offsets[rest], *rng.integers(0, 1 << 20, (2, count, 3))])
    divided = replace(Nuclei.joined([nuclei.take(rest), one, other]), offsets=offsets)
    parent = np.concatenate([rest, late, late])
    places = np.concatenate([centres_um[rest], middles + step, middles - step])
    order = np.argsort(parent, kind="stable")
    return divided.take(order), places[order], parent[order]
