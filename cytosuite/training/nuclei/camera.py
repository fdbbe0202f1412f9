"""A random camera for training: the same light is seen with another detector at every visit."""

from typing import NamedTuple
from zlib import crc32

import numpy as np
from scipy import ndimage

from cytosuite.contract.manifest import Described, NotNegative, Share
from cytosuite.denoising.camera import electrons
from cytosuite.volume.arrays import Bools, Image, Interval, Lengths, Reals, Rng, Shorts

_COARSE = 4  # pixels of y and x in one of the grid on which light is spread widely
_LEAST = 0.02  # share of the light at a nucleus that counts as its own


class CameraRanges(Described):
    """Ranges from which cameras are drawn; wide ones train better than measured ones."""

    photons: Interval = (2.5, 45.0)  # per voxel of a median nucleus, log-uniform
    haze: Interval = (0.05, 2.0)  # photons per voxel everywhere, uniform
    read_noise: Interval = (0.25, 1.5)  # standard deviation, photons, uniform
    multiplying: Share = 0.3  # share of cameras with EM gain
    resampled: Share = 0.35  # share with noise blurred afterwards
    blur: Interval = (0.4, 0.8)  # standard deviation of that blur, pixels
    # a nucleus fainter than this many times the noise is no target
    visibility: NotNegative = 1.0
    # nor one fainter than this share of the other light at its place
    contrast: NotNegative = 0.2


class DrawnCamera(NamedTuple):
    """One detector."""

    photons: float  # per voxel, at light 1
    haze: float  # photons per voxel everywhere
    read_noise: float  # standard deviation, photons
    multiplies: bool  # electrons are multiplied, which doubles the variance of the shot noise
    blur: float  # standard deviation, pixels, of a Gaussian over y, x after the noise; 0 for none


def draw_camera(rng: Rng, ranges: CameraRanges) -> DrawnCamera:
    """Return a camera drawn from ranges."""
    low, high = np.log(ranges.photons)
    photons = float(np.exp(rng.uniform(low, high)))
    haze = rng.uniform(*ranges.haze)
    read_noise = rng.uniform(*ranges.read_noise)
    multiplies, resampled = rng.random(2) < (ranges.multiplying, ranges.resampled)
    blur = rng.uniform(*ranges.blur)
    return DrawnCamera(photons, haze, read_noise, bool(multiplies), blur if resampled else 0.0)


def expose(rng: Rng, light: Image, camera: DrawnCamera) -> Image:
    """Return the image of expected light (Z, Y, X) in a camera: photons with noise, offset 0.

    Janesick, Photon Transfer (SPIE 2007), doi:10.1117/3.725073; Basden et al., MNRAS 345 (2003),
    doi:10.1046/j.1365-8711.2003.07020.x (multiplication: Gamma(N, 1) after N electrons).
    """
    image = electrons(
        rng, light * np.float32(camera.photons) + np.float32(camera.haze), float(camera.multiplies)
    )
    image += rng.standard_normal(image.shape, dtype=np.float32) * np.float32(camera.read_noise)
    if camera.blur > 0:
        image = ndimage.gaussian_filter(
            image, (0.0, camera.blur, camera.blur), mode="reflect", truncate=3.0
        )
    return image


def visible(own: Image, rest: Image, camera: DrawnCamera, ranges: CameraRanges) -> Bools:
    """Return which labels (N + 1,) an annotator could see, from the mean light at each label."""
    around = camera.haze + np.maximum(rest, 0) * np.float32(camera.photons)
    faintest = np.asarray(camera.read_noise + 0.5 + 0.3 * np.sqrt(around), np.float32)  # photons
    seen = own * camera.photons >= ranges.visibility * faintest
    seen &= own >= ranges.contrast * rest
    seen[0] = False
    return seen


class StrayRanges(Described):
    """Ranges of stray light; widths are in lateral diameters of a typical nucleus."""

    weight: Interval = (0.0, 0.7)  # light of each tail, relative to the light of the sharp image
    share: Share = 0.7  # of patches that get each of the two tails
    near_z: Interval = (0.6, 1.3)  # standard deviation along z of the first tail
    near_xy: Interval = (0.2, 0.6)  # and across
    far_z: Interval = (1.0, 3.0)  # standard deviation along z of the second tail
    far_xy: Interval = (0.4, 1.2)  # and across


USUAL = StrayRanges()


def tails(
    light: Image, spacing: Lengths, diameter_um: float, ranges: StrayRanges, name: str
) -> Image:
    """Return the near and far tail (2, Z, Y, X) of the light of a volume, random by its name."""
    rng = np.random.default_rng(crc32(name.encode()))
    z, y, x = light.shape
    fill = [(0, 0), (0, -y % _COARSE), (0, -x % _COARSE)]
    blocks = np.pad(light, fill).reshape(z, -(-y // _COARSE), _COARSE, -(-x // _COARSE), _COARSE)
    coarse = blocks.mean((2, 4))
    steps = np.array([spacing[0], _COARSE * spacing[1], _COARSE * spacing[2]])
    lights = np.empty((2, z, y, x), np.float32)
    pairs = ((ranges.near_z, ranges.near_xy), (ranges.far_z, ranges.far_xy))
    for out, (along, across) in zip(lights, pairs, strict=True):
        high, wide = (np.exp(rng.uniform(*np.log(pair))) * diameter_um for pair in (along, across))
        spread = ndimage.gaussian_filter(
            coarse, np.array([high, wide, wide]) / steps, mode="constant", truncate=3.0
        )
        fine = ndimage.zoom(spread, (1, _COARSE, _COARSE), order=1, mode="nearest", grid_mode=True)
        out[:] = fine[:, :y, :x]
    return lights


def draw_weights(rng: Rng, ranges: StrayRanges) -> Image:
    """Return the weights (2,) with which the tails are added."""
    return (rng.uniform(*ranges.weight, 2) * (rng.random(2) < ranges.share)).astype(np.float32)


def own_light(light: Image, labels: Shorts, level: Reals, means: Image) -> Image:
    """Return each nucleus' own light (N + 1,): a fit by level, the share of the own peak."""
    inside = np.flatnonzero(labels)
    number = labels.ravel()[inside]
    x = level.ravel()[inside].astype(np.float64)
    y = light.ravel()[inside].astype(np.float64)
    size = len(means)
    count = np.maximum(np.bincount(number, minlength=size), 1)
    mean_x, mean_y = (np.bincount(number, v, size) / count for v in (x, y))
    shared = np.bincount(number, x * y, size) / count - mean_x * mean_y
    square = np.bincount(number, x * x, size) / count
    lights = (shared / np.maximum(square - mean_x**2, 1e-9)) * square / np.maximum(mean_x, 1e-9)
    return np.clip(lights, _LEAST * means, means).astype(np.float32)
