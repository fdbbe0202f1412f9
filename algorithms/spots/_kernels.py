"""Compiled fits of spots; no sum is reordered: the same bits everywhere.

Arrays are computed value by value: numba takes a second to compile each other way.
"""

import numpy as np

from cytosuite.algorithms.spots import _loops as _loops  # an image keeps the loops of both
from cytosuite.networks.kernels import compiled
from cytosuite.volume.arrays import Bools, Doubles, Floats, Longs, Shape

# Columns of a spot: place, heights, ln sigmas; in a plane the last two are fixed. Then the same
# seven of its start, and of their sd; height / its sd, chi² beyond noise, variance, score.
Y, X, HEIGHT, LEVEL, WIDE, Z, TALL, START = range(8)
SD, SCORE, LEFT, VARIANCE, RESPONSE, COLUMNS = 14, 21, 22, 23, 24, 25
_AXES = ((Z, TALL), (Y, WIDE), (X, WIDE))  # columns of place and width
_DAMPING = 1e-3  # of the diagonal of the normal equations
_STEPS = (0.7, 0.7, np.inf, np.inf, 0.3, 0.7, 0.3)  # largest change of a column
_HIGHEST = 10.0  # of a spot, relative to its start
_STILL = 0.02  # px: a smaller step ends a fit
_PRIOR = 0.3  # sd of ln sigma of spots
_FARTHEST = 1.2  # from the usual ln sigma
_LONGER = 25.0  # chi² that two spots in the place of one take at least
_SURE = 3.0  # sd of a chi²
_MOST = 0.5  # of the chi² beyond noise, which a cosmic ray keeps
_APART = 1.5  # sigmas between them at least: a psf may be elliptic
_ROUNDS = 10  # of fits of the two
_BEYOND = 10.0  # usual sigmas around a spot that tell whether it is a clump


@compiled("void(float64[::1], int64[:, ::1], float64[:, :, ::1])")
def _profile(spot: Doubles, box: Longs, out: Doubles) -> None:
    """Write exp(-d²/2), d / sigma and d² along each axis of a box, d from a spot in sigmas."""
    for axis, (column, ln_sigma) in enumerate(_AXES):
        sigma = np.exp(spot[ln_sigma])
        low = box[axis, 0]
        for i in range(low, box[axis, 1]):
            d = (i - spot[column]) / sigma
            out[axis, 0, i - low] = np.exp(-0.5 * d * d)
            out[axis, 1, i - low] = d / sigma
            out[axis, 2, i - low] = d * d


@compiled("void(float64[::1], float64[::1])")
def _copy(values: Doubles, out: Doubles) -> None:
    """Write the values of a row."""
    for i in range(len(values)):
        out[i] = values[i]


@compiled("void(float64[:, ::1], float64[::1])")
def _back(factor: Doubles, vector: Doubles) -> None:
    """Replace a vector by the solution, given the Cholesky factor."""
    size = len(vector)
    for i in range(size):
        for k in range(i):
            vector[i] -= factor[i, k] * vector[k]
        vector[i] /= factor[i, i]
    for i in range(size - 1, -1, -1):
        for k in range(i + 1, size):
            vector[i] -= factor[k, i] * vector[k]
        vector[i] /= factor[i, i]


@compiled("boolean(float64[:, ::1])")
def _factor(matrix: Doubles) -> bool:
    """Replace the lower half of a matrix by its Cholesky factor; False if it is not positive."""
    for j in range(len(matrix)):
        for i in range(j, len(matrix)):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            if i > j:
                matrix[i, j] = total / matrix[j, j]
            elif total > 0:
                matrix[j, j] = np.sqrt(total)
            else:
                return False
    return True


@compiled(
    "float64(float64[::1], int64[:, ::1], float64[:, :, ::1], int64, int64, int64, float64[::1])"
)
def _slopes(
    spot: Doubles, box: Longs, profiles: Doubles, z: int, y: int, x: int, slopes: Doubles
) -> float:
    """Return the light of a spot in a pixel of its box, and write its slopes by each column."""
    k, j, i = z - box[0, 0], y - box[1, 0], x - box[2, 0]
    share = profiles[0, 0, k] * profiles[1, 0, j] * profiles[2, 0, i]
    light: float = spot[HEIGHT] * share
    slopes[Y] = light * profiles[1, 1, j]
    slopes[X] = light * profiles[2, 1, i]
    slopes[HEIGHT] = share
    slopes[LEVEL] = 1.0
    slopes[WIDE] = light * (profiles[1, 2, j] + profiles[2, 2, i])
    slopes[Z] = light * profiles[0, 1, k]
    slopes[TALL] = light * profiles[0, 2, k]
    return light


@compiled(
    "void(float32[:, :, ::1], float64[::1], int64[:, ::1], float64[:, :, ::1], float64, "
    "float64[:, ::1], float64[::1])"
)
def _normal(
    rest: Floats,
    spot: Doubles,
    box: Longs,
    profiles: Doubles,
    gain: float,
    matrix: Doubles,
    vector: Doubles,
) -> None:
    """Sum the normal equations of a spot over its box.

    Weights are those of shot noise upon the noise of the surroundings: the steps are Fisher's
    scoring of the likelihood, see `README.md`.
    """
    _profile(spot, box, profiles)
    for a in range(len(vector)):
        vector[a] = 0.0
        for b in range(len(vector)):
            matrix[a, b] = 0.0
    slopes = np.empty(START)
    for z in range(box[0, 0], box[0, 1]):
        for y in range(box[1, 0], box[1, 1]):
            for x in range(box[2, 0], box[2, 1]):
                light = _slopes(spot, box, profiles, z, y, x, slopes)
                residual = rest[z, y, x] - spot[LEVEL] - light
                weight = 1 / (spot[VARIANCE] + gain * max(light, 0.0))
                for a in range(len(vector)):
                    scaled = weight * slopes[a]
                    vector[a] += scaled * residual
                    for b in range(a + 1):
                        matrix[a, b] += scaled * slopes[b]


@compiled("int64(float32[:, :, ::1])")
def _number(image: Floats) -> int:
    """Return how many columns of a spot are fitted."""
    return WIDE + 1 if len(image) == 1 else START


@compiled("int64[:, ::1](float64[::1], int64[::1], UniTuple(int64, 3))")
def _window(spot: Doubles, half: Longs, shape: Shape) -> Longs:
    """Return the first and last + 1 pixel along each axis (3, 2) around the start of a spot."""
    box = np.empty((3, 2), np.int64)
    for axis in range(3):
        place = int(np.rint(spot[START + _AXES[axis][0]]))
        box[axis, 0] = max(place - half[axis], 0)
        box[axis, 1] = min(place + half[axis] + 1, shape[axis])
    return box


@compiled("float64[:, :, ::1](int64[:, ::1])")
def _room(box: Longs) -> Doubles:
    """Return room for the profiles of a spot along the sides of a box, in pixels."""
    side = max(box[0, 1] - box[0, 0], box[1, 1] - box[1, 0], box[2, 1] - box[2, 0])
    return np.empty((3, 3, side))


@compiled("int64(int64[:, ::1])")
def _pixels(box: Longs) -> int:
    """Return the number of pixels in a box."""
    number: int = (box[0, 1] - box[0, 0]) * (box[1, 1] - box[1, 0]) * (box[2, 1] - box[2, 0])
    return number


@compiled("float64[::1](float32[:, :, ::1], float64[:, ::1], int64[::1], float64)")
def shot_noise(rest: Floats, spots: Doubles, half: Longs, gain: float) -> Doubles:
    """Return by how much the variance grows with a spot's light (N,), per grey value.

    The spots are out of `rest`. A fit takes its leverage off the residuals of the variance 1.
    """
    growth = np.zeros(len(spots))
    n = _number(rest)
    matrix, vector, slopes = np.empty((n, n)), np.empty(n), np.empty(START)
    for s in range(len(spots)):
        spot = spots[s]
        variance = spots[s, VARIANCE]
        box, above, below = _window(spot, half, rest.shape), 0.0, 0.0
        profiles = _room(box)
        _normal(rest, spot, box, profiles, gain, matrix, vector)
        if not _factor(matrix):
            continue
        for z in range(box[0, 0], box[0, 1]):
            for y in range(box[1, 0], box[1, 1]):
                for x in range(box[2, 0], box[2, 1]):
                    light = _slopes(spot, box, profiles, z, y, x, slopes)
                    residual = rest[z, y, x] - spot[LEVEL]
                    left = 1.0
                    for a in range(n):
                        for b in range(a):
                            slopes[a] -= matrix[a, b] * slopes[b]
                        slopes[a] /= matrix[a, a]
                        left -= slopes[a] ** 2 / (variance + gain * max(light, 0.0))
                    above += light * (residual * residual - left * variance)
                    below += light * light * left
        growth[s] = above / below if below > 0 else 0.0
    return growth


@compiled("void(float32[:, :, ::1], float64[::1], int64[::1], float64, float64[::1], int64)")
def _fit(rest: Floats, spot: Doubles, half: Longs, gain: float, usual: Doubles, steps: int) -> None:
    """Move a spot to its most likely values, ln sigmas near the usual ones; write their sd."""
    n = _number(rest)
    matrix = np.empty((n, n))
    vector = np.empty(n)
    box = _window(spot, half, rest.shape)
    profiles = _room(box)
    for a in range(SD, VARIANCE):
        spot[a] = 0.0
    for step in range(steps + 1):
        _normal(rest, spot, box, profiles, gain, matrix, vector)
        if step == steps:
            break
        for a in range(n):
            if a >= WIDE and a != Z:  # an ln sigma
                vector[a] += (usual[a] - spot[a]) / _PRIOR**2
                matrix[a, a] += 1 / _PRIOR**2
            matrix[a, a] *= 1 + _DAMPING
        if not _factor(matrix):
            return
        _back(matrix, vector)
        moved = 0.0
        for a in range(n):
            change = min(max(vector[a], -_STEPS[a]), _STEPS[a])
            spot[a] += change
            if a >= WIDE and a != Z:  # an ln sigma
                spot[a] = min(max(spot[a], usual[a] - _FARTHEST), usual[a] + _FARTHEST)
            if a <= X or a == Z:  # a place
                moved = max(moved, abs(change))
        # Between pixels that a narrow spot does not reach its height is free.
        most = _HIGHEST * (abs(spot[START + HEIGHT]) + np.sqrt(spot[VARIANCE]))
        spot[HEIGHT] = min(max(spot[HEIGHT], -most), most)
        if moved < _STILL:
            steps = step + 1
    alone = matrix[HEIGHT, HEIGHT] - matrix[LEVEL, HEIGHT] ** 2 / matrix[LEVEL, LEVEL]
    if not _factor(matrix):
        return
    for a in range(n):
        for b in range(n):
            vector[b] = 1.0 if a == b else 0.0
        _back(matrix, vector)
        spot[SD + a] = np.sqrt(vector[a])
    spot[SCORE] = spot[HEIGHT] * np.sqrt(max(alone, 0.0))


@compiled("void(float32[:, :, ::1], float64[::1], float64, float64)")
def add(image: Floats, spot: Doubles, times: float, reach: float) -> None:
    """Add a spot without its level, within a reach in sigmas, some times to an image."""
    box = np.empty((3, 2), np.int64)
    for axis, (column, ln_sigma) in enumerate(_AXES):
        far = reach * np.exp(spot[ln_sigma])
        box[axis, 0] = max(int(np.ceil(spot[column] - far)), 0)
        box[axis, 1] = min(int(np.floor(spot[column] + far)) + 1, image.shape[axis])
        if box[axis, 0] >= box[axis, 1]:
            return
    profiles = _room(box)
    _profile(spot, box, profiles)
    for z in range(box[0, 0], box[0, 1]):
        for y in range(box[1, 0], box[1, 1]):
            height = times * spot[HEIGHT] * profiles[0, 0, z - box[0, 0]]
            height *= profiles[1, 0, y - box[1, 0]]
            for x in range(box[2, 0], box[2, 1]):
                image[z, y, x] += np.float32(height * profiles[2, 0, x - box[2, 0]])


@compiled("UniTuple(float64, 4)(float32[:, :, ::1], float64[::1], int64[:, ::1], float64)")
def _left(
    rest: Floats, spot: Doubles, box: Longs, gain: float
) -> tuple[float, float, float, float]:
    """Return chi² that a spot leaves in its box, and the part of it that a longer one would take.

    The last two are half the distance along y and x of the two spots that look as long: for them
    the light changes by its second derivatives.
    """
    profiles = _room(box)
    _profile(spot, box, profiles)
    weights = linear = square = upright = slanted = norm = turned = 0.0
    slopes = np.empty(START)
    for z in range(box[0, 0], box[0, 1]):
        for y in range(box[1, 0], box[1, 1]):
            for x in range(box[2, 0], box[2, 1]):
                light = _slopes(spot, box, profiles, z, y, x, slopes)
                weight = 1 / (spot[VARIANCE] + gain * max(light, 0.0))
                value = rest[z, y, x] - spot[LEVEL]
                weights += weight
                linear += weight * value
                square += weight * value * value
                up = profiles[1, 1, y - box[1, 0]]
                across = profiles[2, 1, x - box[2, 0]]
                bent = light * (up**2 - across**2)
                upright += weight * value * bent
                norm += weight * bent * bent
                bent = 2 * light * up * across
                slanted += weight * value * bent
                turned += weight * bent * bent
    if norm <= 0 or turned <= 0:
        return 0.0, 0.0, 0.0, 0.0
    longer = upright**2 / norm + slanted**2 / turned
    upright /= norm
    slanted /= turned
    half = 2 * (upright**2 + slanted**2) ** 0.25
    turn = np.arctan2(slanted, upright) / 2
    return square - linear**2 / weights, longer, half * np.cos(turn), half * np.sin(turn)


@compiled(
    "void(float32[:, :, ::1], float64[:, ::1], int64[::1], float64, float64[::1], float64, int64)"
)
def sweep(
    rest: Floats,
    spots: Doubles,
    half: Longs,
    gain: float,
    usual: Doubles,
    reach: float,
    steps: int,
) -> None:
    """Fit spots (N, 25), all out of `rest`, one after the other to it without the others."""
    for n in range(len(spots)):
        spot = spots[n]
        add(rest, spot, 1.0, reach)
        _fit(rest, spot, half, gain, usual, steps)
        add(rest, spot, -1.0, reach)
        box = _window(spot, half, rest.shape)
        pixels = _pixels(box)
        spot[LEFT] = _left(rest, spot, box, gain)[0] - pixels - _SURE * np.sqrt(2 * pixels)


@compiled(
    "boolean[::1](float32[:, :, ::1], float64[:, ::1], int64[::1], float64, float64[::1], "
    "float64, int64, float64[:, ::1])"
)
def divide(
    rest: Floats,
    spots: Doubles,
    half: Longs,
    gain: float,
    usual: Doubles,
    reach: float,
    steps: int,
    others: Doubles,
) -> Bools:
    """Replace spots (N, 25) by two each where these leave clearly less; return where.

    Second ones go to `others`. All are out of `rest`, before and after.
    """
    divided = np.zeros(len(spots), np.bool_)
    pair = np.empty((2, COLUMNS))
    for n in range(len(spots)):
        spot = spots[n]
        box = _window(spots[n], half, rest.shape)
        before, longer, dy, dx = _left(rest, spot, box, gain)
        if longer < _LONGER or spot[SCORE] <= 0:
            continue
        add(rest, spot, 1.0, reach)
        for k in range(2):
            new = pair[k]
            _copy(spot, new)
            for axis, shift in enumerate((0.0, dy, dx)):
                column = _AXES[axis][0]
                last = rest.shape[axis] - 1.0
                new[column] = min(max(spot[column] + (1 - 2 * k) * shift, 0.0), last)
            new[HEIGHT] *= 0.5
            new[WIDE] = usual[WIDE]
            _copy(new[:START], new[START:])
            add(rest, new, -1.0, reach)
        for _ in range(_ROUNDS):
            for k in range(2):
                add(rest, pair[k], 1.0, reach)
                _fit(rest, pair[k], half, gain, usual, steps)
                add(rest, pair[k], -1.0, reach)
        after = _left(rest, spot, box, gain)[0]
        apart = np.hypot(pair[0, Y] - pair[1, Y], pair[0, X] - pair[1, X])
        far = apart >= _APART * np.exp(usual[WIDE])
        better = before - after >= max(_LONGER, _MOST * (before - _pixels(box)))
        if far and better and min(pair[0, HEIGHT], pair[1, HEIGHT]) > 0:
            divided[n] = True
            _copy(pair[0], spot)
            _copy(pair[1], others[n])
        else:
            for k in range(2):
                add(rest, pair[k], 1.0, reach)
            add(rest, spot, -1.0, reach)
    return divided


@compiled("float64[::1](float32[:, :, ::1], float64[:, ::1], float64[::1])")
def clumped(rest: Floats, spots: Doubles, usual: Doubles) -> Doubles:
    """Return how much clearer each spot (N, 25) is to filters of twice the usual width (N,).

    1 is a spot of this width; edges and clumps of the background are more. Spots are out of `rest`
    with the heights that they have here.
    """
    ratios, totals, row = np.empty(len(spots)), np.empty(3), np.empty(3)
    answer = np.empty(3)
    ideal = np.empty(3)
    most = int(_BEYOND * max(np.exp(usual[WIDE]), np.exp(usual[TALL]))) * 2 + 3
    bells = np.empty((3, 3, most))  # by axis and filter
    box = np.empty((3, 2), np.int64)
    for n in range(len(spots)):
        for k in range(3):
            answer[k], ideal[k], totals[k] = spots[n, HEIGHT], 1.0, 0.0
        for axis, (column, ln_sigma) in enumerate(_AXES):
            place, sigma, size = spots[n, column], np.exp(usual[ln_sigma]), rest.shape[axis]
            box[axis, 0] = low = max(int(np.ceil(place - _BEYOND * sigma)), 0)
            box[axis, 1] = high = min(int(np.floor(place + _BEYOND * sigma)) + 1, size)
            wide = np.exp(spots[n, ln_sigma]) / sigma
            for k in range(3):
                total = 0.0
                for i in range(low, high):
                    d = (i - place) / sigma
                    bells[axis, k, i - low] = np.exp(-0.5 * d * d / 4**k)
                    total += bells[axis, k, i - low]
                for i in range(high - low):
                    bells[axis, k, i] /= total
                if size > 1:
                    answer[k] *= wide / np.sqrt(wide**2 + 4**k)
                    ideal[k] /= np.sqrt(1 + 4**k)
        for z in range(box[0, 0], box[0, 1]):
            for y in range(box[1, 0], box[1, 1]):
                for k in range(3):
                    row[k] = 0.0
                for x in range(box[2, 0], box[2, 1]):
                    for k in range(3):
                        row[k] += bells[2, k, x - box[2, 0]] * rest[z, y, x]
                for k in range(3):
                    totals[k] += row[k] * bells[0, k, z - box[0, 0]] * bells[1, k, y - box[1, 0]]
        near = totals[0] + answer[0] - (totals[1] + answer[1])
        wider = totals[1] + answer[1] - (totals[2] + answer[2])
        ratios[n] = wider / max(near, 1e-12) * (ideal[0] - ideal[1]) / (ideal[1] - ideal[2])
    return ratios
