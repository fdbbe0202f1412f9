"""Measure the loops of segmentation, and a whole watershed, beside SciPy, scikit-image, edt, cc3d.

Usage: python performance/filters.py

Same inputs, two sizes, CPU seconds of one thread; ratio: theirs over ours. Gaussians have the same
bits. The chain is the plain watershed of scikit-image's documents: Gaussian, Otsu, distances, their
peaks as seeds; its answer, like ours, is the SEG of a simulated spheroid. `pip install edt
connected-components-3d` installs two peers; without them they are named and left out.
"""

import os
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from scipy import ndimage
from side_by_side import OURS, Row, installed, measure, table
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.segmentation import watershed

from cytosuite.algorithms.watershed.predict import predict
from cytosuite.algorithms.watershed.seeds import border_distance
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.contract.manifest import read_card
from cytosuite.contract.progress import gathered
from cytosuite.contract.tasks import IMAGE, LABELS
from cytosuite.contract.weights import open_model
from cytosuite.datasets import simulate
from cytosuite.metrics import seg
from cytosuite.segmentation.foreground import gaussian
from cytosuite.segmentation.objects import largest_pieces
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Bools

SPACING, CARD = (2.0, 0.5, 0.5), "spheroid-nuclei-3d"
SIZES = {(32, 256, 256): 60, (64, 512, 512): 400}  # voxels, nuclei
SMOOTH_UM, APART_UM = 0.5, 2.0  # of the chain: the best SEG of fifteen on the smaller image
WIDTHS = ((0.5, 1.0, 1.0), (1.0, 3.0, 3.0))  # of Gaussians [voxels]


def spheroid(shape: Sequence[int], nuclei: int) -> tuple[Volume, Array]:
    """Return a simulated image and its labels."""
    settings = [f"image.shape={[*shape]}", f"image.spacing_um={[*SPACING]}"]
    (sample,) = simulate("spheroid", cases=1, settings=[*settings, f"tissue.n_nuclei={nuclei}"])
    return sample.volume(IMAGE.slug), sample.volume(LABELS.slug).array


def ours(image: Volume, truth: Array) -> str:
    """Return the SEG of our watershed by a shipped model."""
    folder = ROOT / "weights" / "watershed"
    with gathered():
        model = open_model(folder, read_card(folder / f"{CARD}.json"))
        labels = predict({IMAGE.slug: image}, model)[LABELS.slug].array
    return f"SEG {seg(truth, labels):.3f}"


def chain(distance: Callable[[Bools], Array], image: Volume, truth: Array) -> str:
    """Return the SEG of the plain chain with a distance of its own."""
    smooth = ndimage.gaussian_filter(image.array.astype(np.float32), SMOOTH_UM / np.array(SPACING))
    mask = smooth > threshold_otsu(smooth)
    away = distance(mask)
    around = np.ones([2 * int(APART_UM / step) + 1 for step in SPACING], bool)
    peaks = peak_local_max(away, footprint=around, labels=mask.astype(np.uint8))
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return f"SEG {seg(truth, watershed(-away, seeds, mask=mask)):.3f}"


def largest(pieces: Array) -> Array:
    """Return the mask of the largest of numbered pieces."""
    return np.equal(pieces, np.bincount(pieces.ravel())[1:].argmax() + 1)


def rows(shape: tuple[int, ...], nuclei: int) -> list[Row]:
    """Return the rows of a size."""
    name, measured = " x ".join(map(str, shape)), list[Row]()
    image = np.random.default_rng(0).random(shape, np.float32)
    for sigma in WIDTHS:
        smooth = {
            OURS: partial(gaussian, image, sigma),
            "SciPy": partial(ndimage.gaussian_filter, image, sigma),
        }
        same = np.array_equal(*(run() for run in smooth.values()))
        works = {program: _said(run, f"equal: {same}") for program, run in smooth.items()}
        measured += measure(f"Gaussian of {sigma} voxels, {name}", works)
    mask = gaussian(image, (1.0, 4.0, 4.0)) > 0.5
    away = {"SciPy": partial(ndimage.distance_transform_edt, sampling=SPACING)}
    if edt := installed("edt"):
        away["edt"] = partial(edt.edt, anisotropy=SPACING, parallel=1)
    programs = {OURS: partial(border_distance, spacing=SPACING, elongation=1.0), **away}
    works = {program: _said(partial(run, mask), "") for program, run in programs.items()}
    measured += measure(f"distances, {name}", works)
    pieces = {OURS: _said(partial(largest_pieces, mask.astype(np.int32)), "")}
    pieces["scikit-image"] = _said(lambda: largest(label(mask, connectivity=1)), "")
    if cc3d := installed("cc3d"):
        by_cc3d = partial(cc3d.connected_components, mask, connectivity=6)
        pieces["cc3d"] = _said(lambda: largest(by_cc3d()), "")
    measured += measure(f"largest piece, {name}", pieces)
    both = spheroid(shape, nuclei)
    whole = {OURS: partial(ours, *both)}
    whole |= {
        f"plain chain with {program}": partial(chain, run, *both) for program, run in away.items()
    }
    return measured + measure(f"watershed, {name}, {nuclei} nuclei", whole, repeats=3)


def _said(run: Callable[[], Array], words: str) -> Callable[[], str]:
    """Return a call that answers with words in place of an array."""

    def call() -> str:
        """Run and answer."""
        run()
        return words

    return call


def main() -> None:
    """Print the table."""
    os.environ["OMP_NUM_THREADS"] = "1"
    print(table(row for shape, nuclei in SIZES.items() for row in rows(shape, nuclei)))


if __name__ == "__main__":
    main()
