"""Following the flow, by compiled loops or on a GPU: where every voxel comes to rest."""

import math
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from scipy.ndimage import maximum_filter1d

from cytosuite.errors import InputError
from cytosuite.segmentation.assembly import renumber
from cytosuite.segmentation.objects import fill_holes, largest_pieces
from cytosuite.volume.arrays import Bools, Floats, Spacing, Words
from cytosuite.volume.pieces import parts_of, side_by_side

Labels = Words

_TRUNCATE = 3.0  # standard deviations
_LEAST_WEIGHT = 0.02  # of the foreground within reach: about two standard deviations outside
_REST = 0.01  # a point that moved less than so many voxels along every axis rests
_POINTS = 1 << 17  # coordinates that one core follows at a time
_CHUNK = 1 << 20  # points at once on a GPU: about 300 MB of temporary arrays
_POINTS_BYTES = 2**29  # of points on a GPU, on top of the flow


def smooth_flow(flow: Floats, mask: Bools, sigma: Spacing) -> Floats:
    """Return the flow's (3, Z, Y, X) normalised Gaussian mean; 0 beyond two `sigma` of foreground.

    InputError for a flow that is not finite.
    Knutsson, Westin, CVPR 1993, 515, doi:10.1109/CVPR.1993.341081.
    """
    if not math.isfinite(float(flow.sum(dtype=np.float64))):
        raise InputError(
            f"the flow holds {int(np.count_nonzero(~np.isfinite(flow)))} values that are not "
            f"finite, of {flow.size}: the network that made it, or its weights, are broken"
        )
    mask = np.ascontiguousarray(mask)
    kernels = [taps(width) for width in sigma]
    rows = _rows(mask, kernels)
    result = np.zeros(flow.shape, np.float32)
    from cytosuite.algorithms.cellpose3d._kernels import smooth  # its compiler takes long to import

    flat = int(len(mask) == 1)  # a plane has no flow along z
    least = cast("float", np.float32(_LEAST_WEIGHT))
    smoothed = result[flat:]
    moves = np.ascontiguousarray(flow[flat:], np.float32)
    side_by_side(
        lambda part: smooth(moves, mask, *rows, part.start, part.stop, least, smoothed, *kernels),
        parts_of(mask.shape),
    )
    return result


def follow(flow: Floats, mask: Bools, *, steps: int, step_size: float) -> Floats:
    """Return the ends (N, 3) in voxels along a finite flow, sliding along borders."""
    flow = np.ascontiguousarray(flow, np.float32)
    domain = np.ascontiguousarray(mask | np.any(flow, axis=0))
    # Their compiler takes long to import.
    from cytosuite.algorithms.cellpose3d._kernels import settle, track, voxels

    points = voxels(np.ascontiguousarray(mask))
    if device := _device(flow.nbytes):
        fields = torch.from_numpy(flow).to(device).flatten(1)
        inside = torch.from_numpy(domain).to(device)
        with torch.inference_mode():
            for first in range(0, len(points), _CHUNK):
                chunk = points[first : first + _CHUNK]
                start = torch.from_numpy(chunk).to(device)
                chunk[:] = _rest(fields, inside, start, steps, step_size).cpu().numpy()
    elif len(mask) == 1:
        settle(flow[1:, 0], domain[0], points, steps, step_size, _REST)
    else:
        side_by_side(
            lambda part: track(flow, domain, points[part], steps, step_size, _REST),
            parts_of(points.shape, _POINTS),
        )
    return points


def taps(sigma: float) -> Floats:
    """Return the taps (2 k + 1,) of a Gaussian over three standard deviations; their sum is 1."""
    if sigma <= 0:
        return np.ones(1, np.float32)
    radius = math.ceil(_TRUNCATE * sigma)
    values = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    result: Floats = (values / values.sum()).astype(np.float32)
    return result


def _rows(mask: Bools, kernels: Sequence[Floats]) -> tuple[Bools, Bools]:
    """Return the rows (Z, Y) that taps along z bring some of a mask to, and those along y, too."""
    along_z: Bools = maximum_filter1d(mask.any(axis=2), len(kernels[0]), 0, mode="constant")
    reached: Bools = maximum_filter1d(along_z, len(kernels[1]), 1, mode="constant")
    return along_z, reached


def _blurred(values: Floats, widths: Sequence[Floats]) -> Floats:
    """Return values (Z, Y, X), none below 0, convolved by taps per axis, on all cores."""
    from cytosuite.algorithms.cellpose3d._kernels import blur

    within = values > 0
    result = np.zeros(values.shape, np.float32)
    rows = _rows(within, widths)
    side_by_side(
        lambda part: blur(values, within, *rows, part.start, part.stop, result, *widths),
        parts_of(values.shape),
    )
    return result


def _device(size: int) -> str | None:
    """Return the GPU that has room for a flow of so many bytes, None without one."""
    if not torch.cuda.is_available():
        return None
    free, _ = torch.cuda.mem_get_info()
    return "cuda" if 4 * size // 3 + _POINTS_BYTES < free else None


def _rest(
    flow: torch.Tensor, domain: torch.Tensor, points: torch.Tensor, steps: int, step_size: float
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
        out = torch.nonzero(~_within(domain, there)).flatten()
        slid = here[out]
        end = there[out]
        for axis in range(3):  # along those axes only that keep it in the domain
            trial = slid.clone()
            trial[:, axis] = end[:, axis]
            slid = torch.where(_within(domain, trial)[:, None], trial, slid)
        there[out] = slid
        points[moving] = there
        moving = moving[(there - here).abs().amax(dim=1) >= np.float32(_REST).item()]
    return points


def _interpolated(flow: torch.Tensor, points: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
    """Return the flow (3, V) at points (N, 3), linearly between voxels, as (N, 3)."""
    low = points.long()
    weight = points - low.float()
    stride = torch.stack([size[1] * size[2], size[2], torch.ones_like(size[0])])
    up = torch.where(low + 1 < size, stride, 0)
    at = (low * stride).sum(dim=1)

    def _between(place: torch.Tensor, axis: int) -> torch.Tensor:
        if axis == len(size):
            return flow[:, place]
        left = _between(place, axis + 1)
        return left + weight[:, axis] * (_between(place + up[:, axis], axis + 1) - left)

    return _between(at, 0).T


def _within(domain: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """Return whether the nearest voxels of points (N, 3) belong to the domain (Z, Y, X)."""
    z, y, x = (points + 0.5).long().unbind(dim=1)
    return domain[z, y, x]


def instances(
    ends: Floats, mask: Bools, spacing: Spacing, *, sigma_um: float, distance_um: float
) -> Labels:
    """Return objects 1..n (Z, Y, X): voxels that climb to ends (N, 3) at one peak of density."""
    count = int(np.count_nonzero(mask))
    labels = np.zeros(mask.shape, np.uint32)
    if count == 0:
        return labels
    # Their compiler takes long to import.
    from cytosuite.algorithms.cellpose3d._kernels import climb, land

    points = np.zeros(mask.shape, np.float32)
    flat = land(ends, points)
    density = _blurred(points, [taps(sigma_um / step) for step in spacing])
    del points
    basins = np.zeros(mask.size, np.uint32)
    reach = np.array([int(distance_um / step) for step in spacing])
    climb(density, flat, reach, np.asarray(spacing, np.float64), distance_um**2, basins)
    labels[mask] = basins[flat]
    del density, basins, flat  # room for the next steps
    labels = fill_holes(largest_pieces(labels))
    renumber(labels)
    return labels
