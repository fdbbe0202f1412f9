"""Compiled loops over the voxels of one body; float32 sums in one order, whatever the slab.

Cosine and exponential are short polynomials, of which the compiler makes vector instructions.
"""

import numpy as np

from cytosuite.bodies._kernels import bounds, compiled, fill, length
from cytosuite.files import FloatTriple
from cytosuite.volume.arrays import Doubles, Floats, Longs

ZERO, HALF, ONE = np.float32(0.0), np.float32(0.5), np.float32(1.0)
TINY = np.float32(1e-6)
Surface = FloatTriple  # mean height, factor, largest radius of a rough sphere
TURN = np.float32(1 / (2 * np.pi))
C1, C2, C3 = np.float32(-19.7392088), np.float32(64.9393940), np.float32(-85.4568172)
C4, C5, C6 = np.float32(60.2446414), np.float32(-26.4262568), np.float32(7.9035364)
E2, E3, E4 = np.float32(1 / 2), np.float32(1 / 6), np.float32(1 / 24)
SIXTEENTH = np.float32(1 / 16)
BLOCK = 1024  # voxels computed together: their values stay in the cache
FAR = np.float32(9.0)  # in units of the semi-axes
BALL = np.float32(0.4)  # mean of y² + x² in the unit ball

EDGE = np.float32(0.3)  # µm over which a nucleolus fades in
SHELL = np.float32(0.35)  # µm: half the thickness of the dense shell around it
DENSE = np.float32(0.4)  # how much denser that shell is
DARK = np.float32(0.72)  # share of the dye that is missing in a nucleolus
WOBBLE = np.float32(0.12)  # µm by which chromatin dents the outline of a nucleolus
FINE = np.float32(0.5)  # the product of two noises has finer grains: its weight
UNEVEN = np.float32(0.8)  # how patchy the rim is


@compiled
def _cosine(angle: np.float32) -> np.float32:
    """Return the cosine, to 1e-4: its series up to the twelfth power of a part of a turn."""
    t = angle * TURN
    whole: np.float32 = np.floor(t + HALF)
    t -= whole
    t *= t
    return ONE + t * (C1 + t * (C2 + t * (C3 + t * (C4 + t * (C5 + t * C6)))))


@compiled
def _exponential(x: np.float32) -> np.float32:
    """Return exp(x), to 1e-3 between -5 and 5: its series at x / 16, to the power of 16."""
    x = max(x * SIXTEENTH, -HALF)
    e = ONE + x * (ONE + x * (E2 + x * (E3 + x * E4)))
    e *= e
    e *= e
    e *= e
    return e * e


@compiled
def _bump(x: np.float32) -> np.float32:
    """Return (1 - x²)² between -1 and 1 and 0 elsewhere: a hill without corners."""
    rest = max(ONE - x * x, ZERO)
    return rest * rest


@compiled
def add_waves(z: Floats, y: Floats, x: Floats, waves: Floats, out: Floats) -> None:
    """Write the sum (n,) of plane waves (4, K) at unit vectors (n,), of variance 1 on average."""
    for i in range(z.size):
        out[i] = ZERO
    norm = np.float32(np.sqrt(2 / waves.shape[1]))
    for k in range(waves.shape[1]):
        kz, ky, kx, phase = waves[0, k], waves[1, k], waves[2, k], waves[3, k]
        for i in range(z.size):
            out[i] += norm * _cosine(kz * z[i] + ky * y[i] + kx * x[i] + phase)


@compiled
def measure(sphere: Floats, waves: Floats, roughness: np.float32) -> Surface:
    """Return mean, factor, largest radius of ``factor * (1 + roughness * (height - mean))``."""
    height = np.empty(sphere.shape[1], np.float32)
    add_waves(sphere[0], sphere[1], sphere[2], waves, height)
    mean = cubes = largest = 0.0
    for i in range(height.size):
        mean += float(height[i]) / height.size
    for i in range(height.size):
        radius = 1.0 + float(roughness) * (float(height[i]) - mean)
        cubes += radius**3 / height.size
        largest = max(largest, radius)
    scale = cubes ** (-1 / 3)
    return mean, scale, largest * scale * 1.02


@compiled
def cut(
    z: Floats,
    y: Floats,
    x: Floats,
    to_axes: Floats,
    bend: np.float32,
    waves: Floats,
    roughness: np.float32,
    surface: Surface,
    rim: float,
) -> tuple[Longs, Floats, Floats]:
    """Return `inside`, unbent `position` and `distance` (`Patch`) of a nucleus up to `rim`."""
    mean, scale, largest = np.float32(surface[0]), np.float32(surface[1]), surface[2]
    inside, position = fill(z, y, x, to_axes, bounds(largest * rim, np.float64(bend)))
    p, q, r, total = position[0], position[1], position[2], inside.size
    distance = np.empty(total, np.float32)
    for i in range(total):
        p[i] += bend * (q[i] * q[i] + r[i] * r[i] - BALL)
        distance[i] = length(p[i], q[i], r[i])
    unit = np.empty((3, BLOCK), np.float32)
    height = np.empty(BLOCK, np.float32)
    for begin in range(0, total, BLOCK):
        end = min(begin + BLOCK, total)
        away = distance[begin:end]
        size = end - begin
        for i in range(size):
            inverse = ONE / (away[i] + TINY)
            for axis in range(3):
                unit[axis, i] = position[axis, begin + i] * inverse
        add_waves(unit[0, :size], unit[1, :size], unit[2, :size], waves, height)
        for i in range(away.size):
            away[i] /= scale * (ONE + roughness * (height[i] - mean))
    return inside, position, distance


@compiled
def press(z: Floats, y: Floats, x: Floats, inside: Longs, near: Doubles, distance: Floats) -> None:
    """Raise distances to 1 and more nearer to others; `near` (K, 9), own first: centre, form."""
    for i in range(inside.size):
        row = inside[i] // x.size
        tick = float(z[row // y.size]), float(y[row % y.size]), float(x[inside[i] % x.size])
        inner = 0.0
        for k in range(near.shape[0]):
            a, b, c = tick[0] - near[k, 0], tick[1] - near[k, 1], tick[2] - near[k, 2]
            form = near[k, 3] * a * a + near[k, 4] * b * b + near[k, 5] * c * c
            form += 2.0 * (near[k, 6] * a * b + near[k, 7] * a * c + near[k, 8] * b * c)
            away = np.sqrt(max(form, 0.0))
            if k == 0:
                inner = away
            else:
                distance[i] = max(distance[i], np.float32(1.0 + (inner - away) / 2.0))


@compiled
def _gather(tile: Floats, shape: Longs, start: Longs, inside: Longs, out: Floats) -> None:
    """Write the periodic noise at the voxels `inside` of a box that begins at `start`."""
    x = np.empty(shape[2], np.int64)
    for i in range(x.size):
        x[i] = (start[2] + i) % tile.shape[2]
    end = np.int64(0)
    j = np.int64(0)
    k = np.int64(0)
    for i in range(inside.size):
        if inside[i] >= end:
            row = inside[i] // shape[2]
            end = (row + 1) * shape[2]
            j = (start[0] + row // shape[1]) % tile.shape[0]
            k = (start[1] + row % shape[1]) % tile.shape[1]
        out[i] = tile[j, k, x[inside[i] - end + shape[2]]]


@compiled
def _structures(
    p: Floats,
    depth: Floats,
    noise: Floats,
    nucleoli: Floats,
    rim: tuple[np.float32, np.float32],
    radius_um: np.float32,
    edge: np.float32,
    out: Floats,
) -> None:
    """Write the density of the rim and of nucleoli with their shells."""
    strength, width = rim
    outline, nearest = np.empty(depth.size, np.float32), FAR  # distance of the nearest nucleolus
    for i in range(depth.size):
        patchy = max(ONE + UNEVEN * noise[i], ZERO)
        out[i] = ONE + strength * patchy * _bump(max(depth[i], ZERO) / width)
        outline[i] = FAR
    for m in range(nucleoli.shape[0]):
        z, y, x, radius = nucleoli[m, 0], nucleoli[m, 1], nucleoli[m, 2], nucleoli[m, 3]
        if radius > ZERO:
            for i in range(depth.size):
                dz, dy, dx = p[0, i] - z, p[1, i] - y, p[2, i] - x
                away = length(dz, dy, dx) - radius
                outline[i] = min(outline[i], away)
                nearest = min(nearest, outline[i])
    if nearest < FAR:
        for i in range(depth.size):
            away = outline[i] * radius_um + WOBBLE * noise[i]
            hole = min(max(HALF - away / edge, ZERO), ONE)
            out[i] *= (ONE - DARK * hole) * (ONE + DENSE * _bump((away - edge) / SHELL))


@compiled
def dye(
    shape: Longs,
    inside: Longs,
    position: Floats,
    distance: Floats,
    tile: Floats,
    starts: Longs,
    semi_axes: Floats,
    nucleoli: Floats,
    ball: Floats,
    texture: Floats,
    brightness: np.float32,
    voxel_um: np.float32,
) -> Floats:
    """Return the dye (n,), mean 1 over `ball`; `texture`: contrast, threads, rim, its width."""
    contrast, threads, strength, width = texture[0], texture[1], texture[2], texture[3]
    clumps = np.empty(inside.size, np.float32)
    specks = np.empty(inside.size, np.float32)
    _gather(tile, shape, starts[0], inside, clumps)
    _gather(tile, shape, starts[1], inside, specks)
    radius_um = np.float32((semi_axes[0] * semi_axes[1] * semi_axes[2]) ** (1 / 3))
    depth = _depth(position, distance, semi_axes)
    out = np.empty(inside.size, np.float32)
    edge = max(EDGE, voxel_um)
    rim = (strength, width)
    _structures(position, depth, specks, nucleoli, rim, radius_um, edge, out)

    size = ball.shape[1]
    away = np.empty(size, np.float32)
    still = np.empty(size, np.float32)
    for i in range(size):
        z, y, x = ball[0, i], ball[1, i], ball[2, i]
        away[i], still[i] = length(z, y, x), ZERO
    even = np.empty(size, np.float32)
    _structures(ball, _depth(ball, away, semi_axes), still, nucleoli, rim, radius_um, edge, even)
    total = ZERO
    for i in range(size):
        total += even[i]
    factor = brightness / np.float32(total / size)

    # the mean of exp(-square) is 1/3, times exp(-contrast² / 3) where clumps weigh it
    shift = HALF * contrast * contrast
    unit = np.float32(1.0 / np.sqrt(1.0 + FINE * FINE))
    less = ONE - threads
    more = np.float32(3.0 * np.exp(contrast * contrast / 3.0)) * threads
    for i in range(out.size):
        square = clumps[i] * clumps[i] + specks[i] * specks[i]
        grain = (clumps[i] + FINE * clumps[i] * specks[i]) * unit
        out[i] *= _exponential(contrast * grain - shift)
        out[i] *= less + more * _exponential(-square)
        out[i] *= factor * min(max(depth[i] / voxel_um + HALF, ZERO), ONE)
    return out


@compiled
def _depth(position: Floats, distance: Floats, semi_axes: Floats) -> Floats:
    """Return the approximate depth in µm of each position (3, n) below the surface."""
    depth = np.empty(distance.size, np.float32)
    a, b, c = ONE / semi_axes[0], ONE / semi_axes[1], ONE / semi_axes[2]
    for i in range(distance.size):
        p, q, r = position[0, i], position[1, i], position[2, i]
        slope = length(p * a, q * b, r * c) + TINY * a
        depth[i] = (ONE - distance[i]) * (length(p, q, r) + TINY) / slope
    return depth
