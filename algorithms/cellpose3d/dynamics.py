"""Following the flow with compiled loops: where every voxel of the foreground comes to rest."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError

_TRUNCATE = 3.0  # standard deviations
_LEAST_WEIGHT = 0.02  # of the foreground within reach: about two standard deviations outside


def smooth_flow(
    flow: NDArray[np.float32], mask: NDArray[np.bool_], sigma: Sequence[float]
) -> NDArray[np.float32]:
    """Return the Gaussian mean of the flow over the foreground around each voxel.

    Parameters
    ----------
    flow : (3, Z, Y, X) float32 array
        The flow; its values in the background do not count.
    mask : (Z, Y, X) bool array
        The foreground.
    sigma : sequence of float
        Standard deviation in voxels along z, y, x; 0 leaves an axis alone.

    Returns
    -------
    (3, Z, Y, X) float32 array
        The mean; it reaches about two standard deviations into the background, so that points
        cross small holes, and is 0 beyond.

    Raises
    ------
    InputError
        If the shapes disagree, a value of the flow is not finite or a sigma is negative.

    References
    ----------
    Knutsson, Westin, CVPR 1993, 515, doi:10.1109/CVPR.1993.341081 (normalised convolution).
    """
    check_flow(flow, mask)
    mask = np.ascontiguousarray(mask)
    if len(sigma) != 3 or not all(math.isfinite(width) and width >= 0 for width in sigma):
        raise InputError(
            f"sigma must be 3 numbers of voxels (z, y, x), none negative, found {list(sigma)}"
        )
    from algorithms.cellpose3d._kernels import blur  # its compiler takes long to import

    rows = np.asarray(mask.any(axis=2))
    kernels = [taps(width) for width in sigma]
    result = np.zeros(flow.shape, np.float32)
    values, spare = mask.astype(np.float32), np.empty(mask.shape, np.float32)
    weight = np.zeros(mask.shape, np.float32)
    blur(values, rows, spare, weight, *kernels)
    weight[weight < _LEAST_WEIGHT] = np.inf
    for channel, smooth in zip(flow, result, strict=True):
        np.multiply(channel, mask, out=values)
        blur(values, rows, spare, smooth, *kernels)
        smooth /= weight
    return result


def follow_compiled(
    flow: NDArray[np.float32],
    mask: NDArray[np.bool_],
    *,
    steps: int,
    step_size: float,
    tolerance: float = 0.01,
) -> NDArray[np.float32]:
    """Return the end points of the foreground's voxels, by a compiled loop.

    Parameters, result and errors as of `algorithms.cellpose3d.follow.follow`.
    """
    from algorithms.cellpose3d._kernels import track  # its compiler takes long to import

    domain, points = start(flow, mask, steps, step_size, tolerance)
    flow = np.ascontiguousarray(flow, np.float32)
    track(flow, domain, points, steps, step_size, tolerance)
    return points


def start(
    flow: NDArray[np.float32],
    mask: NDArray[np.bool_],
    steps: int,
    step_size: float,
    tolerance: float,
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """Return the domain and the starts of points; refuse numbers out of range.

    Parameters
    ----------
    flow, mask, steps, step_size, tolerance
        As of `algorithms.cellpose3d.follow.follow`.

    Returns
    -------
    domain : (Z, Y, X) bool array
        Foreground, or flow that is not 0: points stay within.
    points : (N, 3) float32 array
        The voxels of the foreground.

    Raises
    ------
    InputError
        As of `algorithms.cellpose3d.follow.follow`.
    """
    check_flow(flow, mask)
    if steps < 0 or not (math.isfinite(step_size) and step_size > 0) or not tolerance >= 0:
        raise InputError(
            "following the flow needs steps >= 0, step_size > 0 and tolerance >= 0, "
            f"found {steps}, {step_size} and {tolerance}"
        )
    domain = np.ascontiguousarray(mask)
    for channel in flow:
        domain = domain | (channel != 0)
    points = np.stack(np.nonzero(mask), axis=1).astype(np.float32)
    return domain, points


def check_flow(flow: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
    """Refuse a flow and a foreground that do not fit, and a flow that is not finite.

    Parameters
    ----------
    flow : (3, Z, Y, X) float array
        The flow.
    mask : (Z, Y, X) bool array
        The foreground.

    Raises
    ------
    InputError
        With shapes and types, or the number of values that are not finite.
    """
    if mask.ndim != 3 or mask.dtype != bool or flow.shape != (3, *mask.shape):
        raise InputError(
            "expected a flow (3, Z, Y, X) and a bool foreground (Z, Y, X), found "
            f"{flow.shape} and {mask.dtype} {mask.shape}"
        )
    if not math.isfinite(float(flow.sum(dtype=np.float64))):
        wrong = int(np.count_nonzero(~np.isfinite(flow)))
        raise InputError(
            f"the flow holds {wrong} values that are not finite, of {flow.size}: the network that "
            "made it, or its weights, are broken"
        )


def taps(sigma: float) -> NDArray[np.float32]:
    """Return the taps of a Gaussian.

    Parameters
    ----------
    sigma : float
        Standard deviation in voxels; 0 gives the single tap 1.

    Returns
    -------
    (2 k + 1,) float32 array
        Over three standard deviations to both sides; their sum is 1.
    """
    if sigma <= 0:
        return np.ones(1, np.float32)
    radius = math.ceil(_TRUNCATE * sigma)
    values = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    result: NDArray[np.float32] = (values / values.sum()).astype(np.float32)
    return result
