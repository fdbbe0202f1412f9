"""Following the flow, by compiled loops or on a GPU: where every voxel comes to rest."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from cytosuite.errors import InputError

_TRUNCATE = 3.0  # standard deviations
_LEAST_WEIGHT = 0.02  # of the foreground within reach: about two standard deviations outside
_REST = 0.01  # a point that moved less than so many voxels along every axis rests
_CHUNK = 1 << 20  # points at once on a GPU: about 300 MB of temporary arrays
_POINTS_BYTES = 2**29  # of points on a GPU, on top of the flow


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
        If the shapes disagree, or a value of the flow is not finite.

    References
    ----------
    Knutsson, Westin, CVPR 1993, 515, doi:10.1109/CVPR.1993.341081 (normalised convolution).
    """
    _check(flow, mask)
    mask = np.ascontiguousarray(mask)
    from cytosuite.algorithms.cellpose3d._kernels import blur  # its compiler takes long to import

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


def follow(
    flow: NDArray[np.float32], mask: NDArray[np.bool_], *, steps: int, step_size: float
) -> NDArray[np.float32]:
    """Return the places where the voxels of the foreground end when they follow the flow.

    Parameters
    ----------
    flow : (3, Z, Y, X) float32 array
        Direction of motion in voxels per step, interpolated linearly.
    mask : (Z, Y, X) bool array
        The foreground: the voxels that move.
    steps : int
        Largest number of steps.
    step_size : float
        Factor on the flow; 1 or less lets points come to rest in a flow of slope 1 or less.

    Returns
    -------
    (N, 3) float32 array
        z, y, x in voxels, one row per voxel of the foreground, in the order of memory.

    Raises
    ------
    InputError
        If the shapes disagree, or a value of the flow is not finite.

    Notes
    -----
    A point stays where there is foreground or flow. One that would leave slides along the border,
    so that voxels of a bent object come round the bend. Points do not see each other. Where there
    is a GPU with room for it, the flow is followed there, by the same sums.
    """
    _check(flow, mask)
    flow = np.ascontiguousarray(flow, np.float32)
    domain = np.ascontiguousarray(mask | np.any(flow, axis=0))
    points = np.stack(np.nonzero(mask), axis=1).astype(np.float32)
    if device := _device(flow.nbytes):
        _follow_torch(flow, domain, points, steps, step_size, device)
    else:
        from cytosuite.algorithms.cellpose3d._kernels import (
            track,  # its compiler takes long to import
        )

        track(flow, domain, points, steps, step_size, _REST)
    return points


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


def _check(flow: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
    """Refuse a flow and a foreground that do not fit, and a flow that is not finite."""
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


def _device(size: int) -> str | None:
    """Return the GPU that has room for a flow of so many bytes, None without one."""
    if not torch.cuda.is_available():
        return None
    free, _ = torch.cuda.mem_get_info()
    return "cuda" if 4 * size // 3 + _POINTS_BYTES < free else None


def _follow_torch(
    flow: NDArray[np.float32],
    domain: NDArray[np.bool_],
    points: NDArray[np.float32],
    steps: int,
    step_size: float,
    device: str,
) -> None:
    """Move points (N, 3) to their rest on a device, as `_kernels.track` does."""
    fields = torch.from_numpy(flow).to(device).flatten(1)
    inside = torch.from_numpy(domain).to(device)
    with torch.inference_mode():
        for first in range(0, len(points), _CHUNK):
            chunk = points[first : first + _CHUNK]
            start = torch.from_numpy(chunk).to(device)
            chunk[:] = _rest(fields, inside, start, steps, step_size).cpu().numpy()


def _rest(
    flow: torch.Tensor,
    domain: torch.Tensor,
    points: torch.Tensor,
    steps: int,
    step_size: float,
) -> torch.Tensor:
    """Return the points (N, 3) after all of them rest, or all steps."""
    size = torch.tensor(domain.shape, device=points.device)
    points = points.clone()
    moving = torch.arange(len(points), device=points.device)
    for _ in range(steps):
        if not len(moving):
            break
        here = points[moving]
        there = here + step_size * _interpolated(flow, here, size)
        there = torch.minimum(there.clamp(min=0), (size - 1).float())
        there = _slide(domain, here, there)
        points[moving] = there
        moved = (there - here).abs().amax(dim=1)
        moving = moving[moved >= np.float32(_REST).item()]
    return points


def _interpolated(flow: torch.Tensor, points: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Return the flow (3, V) at points (N, 3), linearly between voxels, as (N, 3)."""
    low = points.long()
    weight = points - low.float()
    stride = torch.stack([size[1] * size[2], size[2], torch.ones_like(size[0])])
    up = torch.where(low + 1 < size, stride, 0)
    at = (low * stride).sum(dim=1)

    def between(place: torch.Tensor, axis: int) -> torch.Tensor:
        """Return the flow between voxels and the next along an axis and those after it."""
        if axis == len(size):
            return flow[:, place]
        left = between(place, axis + 1)
        return left + weight[:, axis] * (between(place + up[:, axis], axis + 1) - left)

    return between(at, 0).T


def _slide(domain: torch.Tensor, here: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """Return the points moved along those axes only that keep them in the domain."""
    out = torch.nonzero(~_within(domain, there)).flatten()
    start, end = here[out], there[out]
    slid = start.clone()
    for axis in range(3):
        trial = slid.clone()
        trial[:, axis] = end[:, axis]
        slid = torch.where(_within(domain, trial)[:, None], trial, slid)
    there[out] = slid
    return there


def _within(domain: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return whether the nearest voxels of points (N, 3) belong to the domain (Z, Y, X)."""
    z, y, x = (points + 0.5).long().unbind(dim=1)
    return domain[z, y, x]
