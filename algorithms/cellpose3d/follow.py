"""Following the flow, on a GPU where there is one: where every voxel comes to rest."""

import numpy as np
import torch
from numpy.typing import NDArray

from algorithms.cellpose3d.dynamics import follow_compiled, start

_CHUNK = 1 << 20  # points at once: about 300 MB of temporary arrays
_POINTS_BYTES = 2**29  # of points on a GPU, on top of the flow


def follow(
    flow: NDArray[np.float32],
    mask: NDArray[np.bool_],
    *,
    steps: int,
    step_size: float,
    tolerance: float = 0.01,
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
    tolerance : float
        A point that moved less than this many voxels along every axis rests.

    Returns
    -------
    (N, 3) float32 array
        z, y, x in voxels, one row per voxel of the foreground, in the order of memory.

    Raises
    ------
    InputError
        If the shapes disagree, a value of the flow is not finite or a number is out of range.

    Notes
    -----
    A point stays where there is foreground or flow. One that would leave slides along the border,
    so that voxels of a bent object come round the bend. Points do not see each other. Where there
    is a GPU with room for it, the flow is followed there, by the same sums.
    """
    device = _device(flow.nbytes)
    if device is None:
        return follow_compiled(flow, mask, steps=steps, step_size=step_size, tolerance=tolerance)
    return follow_torch(
        flow, mask, steps=steps, step_size=step_size, tolerance=tolerance, device=device
    )


def _device(size: int) -> str | None:
    """Return the GPU that has room for a flow of so many bytes, None without one."""
    if not torch.cuda.is_available():
        return None
    free, _ = torch.cuda.mem_get_info()
    return "cuda" if 4 * size // 3 + _POINTS_BYTES < free else None


def follow_torch(
    flow: NDArray[np.float32],
    mask: NDArray[np.bool_],
    *,
    steps: int,
    step_size: float,
    tolerance: float = 0.01,
    device: str = "cpu",
) -> NDArray[np.float32]:
    """Return the end points as `follow_compiled` does, by the same sums in the same order.

    Parameters
    ----------
    flow, mask, steps, step_size, tolerance
        As of `follow`.
    device : str
        Such as ``cpu`` or ``cuda``.
    """
    domain, points = start(flow, mask, steps, step_size, tolerance)
    fields = torch.from_numpy(np.ascontiguousarray(flow, np.float32)).to(device).flatten(1)
    inside = torch.from_numpy(domain).to(device)
    with torch.inference_mode():
        for first in range(0, len(points), _CHUNK):
            chunk = torch.from_numpy(points[first : first + _CHUNK]).to(device)
            rested = _rest(fields, inside, chunk, steps, step_size, tolerance)
            points[first : first + _CHUNK] = rested.cpu().numpy()
    return points


def _rest(
    flow: torch.Tensor,
    domain: torch.Tensor,
    points: torch.Tensor,
    steps: int,
    step_size: float,
    tolerance: float,
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
        moving = moving[moved >= np.float32(tolerance).item()]
    return points


def _interpolated(flow: torch.Tensor, points: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Return the flow (3, V) at points (N, 3), linearly between voxels, as (N, 3)."""
    low = points.long()
    weight = points - low.float()
    stride = torch.stack([size[1] * size[2], size[2], torch.ones_like(size[0])])
    up = torch.where(low + 1 < size, stride, 0)
    at = (low * stride).sum(dim=1)

    def along_x(place: torch.Tensor) -> torch.Tensor:
        """Return the flow between a voxel and the next along x."""
        left = flow[:, place]
        return left + weight[:, 2] * (flow[:, place + up[:, 2]] - left)

    def along_y(place: torch.Tensor) -> torch.Tensor:
        """Return the flow between a row and the next along y."""
        left = along_x(place)
        return left + weight[:, 1] * (along_x(place + up[:, 1]) - left)

    left = along_y(at)
    return (left + weight[:, 0] * (along_y(at + up[:, 0]) - left)).T


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
