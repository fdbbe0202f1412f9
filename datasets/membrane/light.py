"""The microscope image of a sketch: dimmed by tissue, blurred, counted by a camera."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.datasets.membrane.parameters import Drawn, Parameters
from cytosuite.datasets.physics.camera import Detector
from cytosuite.datasets.physics.optics import Attenuation, attenuate


def expose(
    rng: np.random.Generator,
    sketch: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    parameters: Parameters,
    drawn: Drawn,
) -> NDArray[np.unsignedinteger[Any]]:
    """Return the counts (Z, Y, X) of a camera, uint16.

    Parameters
    ----------
    rng : numpy Generator
    sketch : (Z, Y, X) uint8 array
        Dye in membranes, 255 at most.
    inside : (Z, Y, X) bool array
        Tissue, which glows a little and takes light away.
    parameters, drawn : Parameters, Drawn

    Notes
    -----
    The tissue beyond the image is taken to be as at its border. Memory: two float32 volumes.
    """
    light = sketch * np.float32(1 / 255)
    np.maximum(light, np.float32(parameters.glow) * inside, out=light)
    attenuate(light, inside, parameters.spacing_um[0], Attenuation(length_um=drawn.attenuation_um))
    widths = np.divide(parameters.psf_sigma_um, parameters.spacing_um)
    light = ndimage.gaussian_filter(light, widths, mode="nearest")
    light *= np.float32(drawn.photons)
    light += np.float32(parameters.background_photons)
    camera = Detector(parameters.gain, parameters.offset, parameters.read_noise)
    return camera.expose(rng, light)
