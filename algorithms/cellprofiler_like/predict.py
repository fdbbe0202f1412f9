"""Entry point of the CellProfiler-like chain: one plane in, its instance labels out."""

from importlib.metadata import version
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from scipy import ndimage
from skimage.filters import sobel, threshold_local, threshold_otsu
from skimage.segmentation import watershed

from cytosuite.contract import progress
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import Described, Positive, parameters_of
from cytosuite.contract.weights import Model
from cytosuite.segmentation.foreground import background_and_noise, li_threshold
from cytosuite.segmentation.objects import around_peaks, fill_holes, keep_by
from cytosuite.volume import Volumes
from cytosuite.volume.arrays import Bools, Floats, Labels

Length = Annotated[float, Field(ge=0, le=10000)]


class Secondary(Described):
    """Growth of primary objects to whole cells."""

    factor: Positive  # correction of the threshold of cells
    reach_px: Positive  # longest way from the primary object
    compactness: Length  # weight of distance against edges: 0 follows edges alone


class Parameters(Described):
    """Parameters of a card; lengths in pixels, as in CellProfiler."""

    smoothing_px: Length  # standard deviation of the Gaussian before all
    threshold: Literal["otsu", "li"]  # of two classes, or cross entropy
    factor: Positive  # correction of the threshold above the background
    adaptive_px: Length  # window of a local threshold; 0: one for the image
    minimum_snr: Length = 6.0  # lowest threshold, in noise of the background
    declump: Literal["distance", "intensity"]  # map with a peak per object
    declump_px: Length  # standard deviation of the Gaussian before peaks
    apart_px: Positive  # least distance of two peaks
    diameter_px: tuple[Positive, Positive]  # of discs as large as objects
    secondary: Secondary | None = None  # whole cells; None: primary objects


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return the ``instance-labels`` of one plane; InputError of a volume."""
    image = image_of(inputs, axes="YX", offset=False)
    parameters = parameters_of(model.card, Parameters)
    low, high = parameters.diameter_px
    progress.state(
        tool=f"scikit-image {version('scikit-image')}", size=f"given: {low:g}-{high:g} px"
    )
    smooth = ndimage.gaussian_filter(image.array.astype(np.float32), parameters.smoothing_px)
    background, noise = background_and_noise(smooth)
    signal = smooth - np.float32(background)
    level = threshold(signal, parameters)
    floor = parameters.minimum_snr * noise
    labels = primary(signal, signal > np.maximum(parameters.factor * level, floor), parameters)
    if parameters.secondary:
        mask = signal > np.maximum(parameters.secondary.factor * level, floor)
        labels = secondary(signal, mask, labels, parameters.secondary)
    return {"instance-labels": image.like(labels.astype(np.uint32))}


def threshold(signal: Floats, parameters: Parameters) -> Floats | float:
    """Return the threshold of a plane without its background, one number or one per pixel."""
    flat = bool(np.ptp(signal) == 0)
    entropy = parameters.threshold == "li" or flat
    level = li_threshold(signal) if entropy else float(threshold_otsu(signal))
    if parameters.adaptive_px == 0 or flat:
        return level
    window = 2 * int(parameters.adaptive_px / 2) + 1
    local: Floats = threshold_local(signal, window, "mean").astype(np.float32)
    # CellProfiler keeps local thresholds within 0.7 and 1.5 of the global one.
    return np.clip(local, 0.7 * level, 1.5 * level)


def primary(signal: Floats, mask: Bools, parameters: Parameters) -> Labels:
    """Return objects of a mask, apart where distance or intensity has several peaks, by size."""
    mask = ndimage.binary_fill_holes(mask)
    height = ndimage.distance_transform_edt(mask) if parameters.declump == "distance" else signal
    height = ndimage.gaussian_filter(height.astype(np.float32), parameters.declump_px)
    pieces, _ = ndimage.label(mask)
    labels = around_peaks(height, mask, max(1, round(parameters.apart_px)), pieces)
    diameter = np.sqrt(np.bincount(labels.ravel()) * (4 / np.pi))
    low, high = parameters.diameter_px
    return keep_by(labels, (diameter >= low) & (diameter <= high))


def secondary(signal: Floats, mask: Bools, seeds: Labels, growth: Secondary) -> Labels:
    """Return primary objects grown in a mask, each by its own number, up to edges in between."""
    mask = (mask | (seeds > 0)) & (ndimage.distance_transform_edt(seeds == 0) <= growth.reach_px)
    edges = sobel(signal / max(float(signal.max(initial=0)), 1e-9))
    return fill_holes(watershed(edges, seeds, mask=mask, compactness=growth.compactness))
