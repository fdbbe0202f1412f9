"""Refuse parameters that are valid one by one and contradict each other."""

from collections.abc import Iterator
from itertools import chain
from math import exp, pi, prod

from cytosuite.datasets.spheroid.parameters import Parameters
from cytosuite.errors import InputError

MAX_SAMPLES = 20_000_000_000  # simulated voxels; they are streamed, but time grows with them


def check(parameters: Parameters) -> Parameters:
    """Return the parameters if they can be simulated.

    Raises
    ------
    InputError
        One line that names the first contradiction and the remedy.
    """
    rules = (_size, _names, _tissue, _files)
    for mistake in chain.from_iterable(rule(parameters) for rule in rules):
        raise InputError(f"spheroid parameters: {mistake}")
    return parameters


def spheroid_semi_axes(volume_um3: float, flattening: float) -> tuple[float, float, float]:
    """Return the semi-axes (z, y, x) in µm of a spheroid of a given volume.

    Parameters
    ----------
    volume_um3 : float
    flattening : float
        Height relative to width.

    Examples
    --------
    >>> [round(axis, 2) for axis in spheroid_semi_axes(4188.79, 1.0)]
    [10.0, 10.0, 10.0]
    """
    width = (volume_um3 * 3 / (4 * pi * flattening)) ** (1 / 3)
    return flattening * width, width, width


def _size(parameters: Parameters) -> Iterator[str]:
    """Yield mistakes of an image that would take hours."""
    image = parameters.image
    samples = prod(image.shape) * prod(image.oversampling)
    if samples > MAX_SAMPLES:
        yield (
            f"shape {list(image.shape)} at oversampling {list(image.oversampling)} makes "
            f"{samples:.1e} simulated voxels, at most {MAX_SAMPLES:.0e} are allowed; lower shape "
            "or oversampling"
        )


def _names(parameters: Parameters) -> Iterator[str]:
    """Yield mistakes of kinds with equal or unknown names, or without any share."""
    names = [kind.name for kind in parameters.all_kinds()]
    known = ", ".join(names)
    if len(set(names)) < len(names):
        yield f"kinds must have different names, found {known}"
    if not any(kind.share > 0 for kind in parameters.all_kinds()):
        yield "at least one of kinds needs a share above 0"
    for subculture in parameters.subcultures:
        if subculture.kind not in names:
            yield f"subcultures: kind {subculture.kind!r} is not among kinds: {known}"
    if parameters.output.channel == "membrane" and not parameters.cells.enabled:
        yield "output.channel is membrane, but cells.enabled is false; set it to true"


def _tissue(parameters: Parameters) -> Iterator[str]:
    """Yield mistakes of a tissue without a size, or one that is larger than the image."""
    tissue, kinds = parameters.tissue, parameters.all_kinds()
    free = set(tissue.outline) - {"fill", "file"}
    if not free or tissue.width_um != "auto":
        return
    if tissue.n_nuclei == "auto":
        yield (
            "tissue.n_nuclei and tissue.width_um are both auto, so nothing says how large the "
            "tissue is; give one of them"
        )
        return
    if tissue.may_be_cut:
        return
    nucleus = max(
        pi / 6 * kind.diameter_um[1] ** 3 * exp(4.5 * kind.diameter_spread[1] ** 2)
        for kind in kinds
    )
    volume = tissue.n_nuclei[1] * nucleus / tissue.volume_fraction[0]
    if "shell" in free:
        volume /= 1 - min(tissue.core[1], 0.95) ** 3
    bulge = 1 + 2 * tissue.bumps[1] if "irregular" in free else 1.0
    widest = bulge * spheroid_semi_axes(volume, tissue.flattening[0])[1]
    highest = bulge * spheroid_semi_axes(volume, tissue.flattening[1])[0]
    size, view = (2 * highest, 2 * widest, 2 * widest), parameters.detector.size_um
    if any(a > b for a, b in zip(size, view, strict=True)):
        diameter = max(kind.diameter_um[1] for kind in kinds)
        yield (
            f"up to {tissue.n_nuclei[1]} nuclei of {diameter:g} µm at a volume_fraction "
            f"of {tissue.volume_fraction[0]:g} make a spheroid of {_um(size)} µm, larger than the "
            f"image of {_um(view)} µm; lower n_nuclei or diameter_um, raise volume_fraction, shape "
            "or spacing_um, or set tissue.may_be_cut to let it be cut by the image"
        )


def _files(parameters: Parameters) -> Iterator[str]:
    """Yield mistakes of a recipe that needs files and names none, or some that are not there."""
    if "file" in parameters.tissue.outline and not parameters.tissue.masks:
        yield "tissue.outline has file, but tissue.masks names no file"
    if parameters.optics.psf == "file" and not parameters.optics.psf_files:
        yield "optics.psf is file, but optics.psf_files names no file"
    for path in parameters.files():
        if not path.exists():
            yield f"{path}: no such file; paths count from the recipe's folder"


def _um(values: tuple[float, ...]) -> str:
    """Return lengths as text."""
    return " x ".join(f"{value:.0f}" for value in values)
