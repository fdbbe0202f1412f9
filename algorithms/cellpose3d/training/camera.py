"""A random camera for training: the same light is seen with another detector at every visit."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from cytosuite.manifest import Described

Image = NDArray[np.float32]
Range = tuple[float, float]


class CameraRanges(Described):
    """Ranges from which cameras are drawn; wide ones train better than measured ones."""

    photons: Range = Field((2.5, 45.0), description="per voxel of a median nucleus, log-uniform")
    haze: Range = Field((0.05, 2.0), description="photons per voxel everywhere, uniform")
    read_noise: Range = Field((0.25, 1.5), description="standard deviation, photons, uniform")
    multiplying: float = Field(0.3, ge=0, le=1, description="share of cameras with EM gain")
    resampled: float = Field(0.35, ge=0, le=1, description="share with noise blurred afterwards")
    blur: Range = Field((0.4, 0.8), description="standard deviation of that blur, pixels")
    visibility: float = Field(
        1.0, ge=0, description="a nucleus fainter than this many times the noise is no target"
    )
    contrast: float = Field(
        0.2, ge=0, description="nor one fainter than this share of the other light at its place"
    )


class DrawnCamera(NamedTuple):
    """One detector."""

    photons: float  # per voxel, at light 1
    haze: float  # photons per voxel everywhere
    read_noise: float  # standard deviation, photons
    multiplies: bool  # electrons are multiplied, which doubles the variance of the shot noise
    blur: float  # standard deviation, pixels, of a Gaussian over y, x after the noise; 0 for none


def draw_camera(rng: np.random.Generator, ranges: CameraRanges) -> DrawnCamera:
    """Return a camera drawn from ranges.

    Parameters
    ----------
    rng : numpy Generator
        Always seven numbers are taken from it.
    ranges : CameraRanges
    """
    low, high = np.log(ranges.photons)
    photons = float(np.exp(rng.uniform(low, high)))
    haze, read_noise = rng.uniform(*ranges.haze), rng.uniform(*ranges.read_noise)
    multiplies, resampled = rng.random(2) < (ranges.multiplying, ranges.resampled)
    blur = rng.uniform(*ranges.blur)
    return DrawnCamera(photons, haze, read_noise, bool(multiplies), blur if resampled else 0.0)


def expose(rng: np.random.Generator, light: Image, camera: DrawnCamera) -> Image:
    """Return the image of expected light in a camera.

    Parameters
    ----------
    rng : numpy Generator
    light : (Z, Y, X) float32 array
        Not negative; 1 is the light of a median nucleus.
    camera : DrawnCamera

    Returns
    -------
    (Z, Y, X) float32 array
        Photons with noise, not rounded, offset 0: gain and offset vanish in the normalisation.

    References
    ----------
    Janesick, Photon Transfer (SPIE 2007), doi:10.1117/3.725073; Basden et al., MNRAS 345 (2003),
    doi:10.1046/j.1365-8711.2003.07020.x (multiplication: Gamma(N, 1) after N electrons).
    """
    expected = light * np.float32(camera.photons) + np.float32(camera.haze)
    image = rng.poisson(expected).astype(np.float32)
    if camera.multiplies:
        image = rng.standard_gamma(image, dtype=np.float32)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    image += noise * np.float32(camera.read_noise)
    if camera.blur > 0:
        sigma = (0.0, camera.blur, camera.blur)
        image = ndimage.gaussian_filter(image, sigma, mode="reflect", truncate=3.0)
    return image


def visible(
    own: Image, rest: Image, camera: DrawnCamera, ranges: CameraRanges
) -> NDArray[np.bool_]:
    """Return a mask of the nuclei that an annotator could see.

    Parameters
    ----------
    own, rest : (N + 1,) float32 arrays
        Mean light at each label: its own, and that of everything else. The first entry is that of
        the background, which is never visible.
    camera : DrawnCamera
    ranges : CameraRanges
        A nucleus must have `visibility` times the faintest signal, and the share `contrast` of
        the other light.

    Returns
    -------
    (N + 1,) bool array
        To be indexed by labels.
    """
    around = camera.haze + np.maximum(rest, 0) * np.float32(camera.photons)
    faintest = np.asarray(camera.read_noise + 0.5 + 0.3 * np.sqrt(around), np.float32)  # photons
    seen: NDArray[np.bool_] = own * camera.photons >= ranges.visibility * faintest
    seen &= own >= ranges.contrast * rest
    seen[0] = False
    return seen
