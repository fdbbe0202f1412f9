"""The working grid of an image, on which nuclei have the size of the training."""

from collections.abc import Sequence
from math import ceil, exp, inf, log, pi, prod, sqrt
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import Field
from scipy import ndimage

from cytosuite.contract.manifest import (
    Described,
    ModelCard,
    NotNegative,
    Positive,
    parse,
)
from cytosuite.contract.progress import state
from cytosuite.contract.select import SIZE, Facts, Value, distance
from cytosuite.contract.spacing import text
from cytosuite.errors import InputError
from cytosuite.files import Scalars, Texts
from cytosuite.networks.grid import PIXELS
from cytosuite.networks.normalise import QUIETEST, background_of, bright, normalise
from cytosuite.networks.tiling import plan
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Floats, Lengths, Spacing
from cytosuite.volume.memory import release
from cytosuite.volume.pieces import side_by_side

_RANGE = 5.0  # diameters from a fifth of the expected one to five times
_SCALES = 15
_SLICES, _PIXELS = 12, 2**20  # slices, and pixels in them, that suffice for a typical size
_WINDOW = 512  # pixels of the sides of windows in larger slices
_FAINTEST = 0.05  # response of a blob as bright as the background's noise, normalised
_SPREAD, _SPREAD_PX = 0.8, 1.2  # of ln diameter about the expected one; in planes, of any scale
_FAR = 2.0  # nuclei that differ by more than this factor from the training's are worth a warning
ENLARGED = 40.0  # voxels of the working grid per voxel of the image: more show nothing more
_ENOUGH = 5  # objects away from the border show the typical size
_NEAR = 0.1  # |ln| of a diameter by the network over the one it saw that changes nothing
_NUCLEUS = 7.0  # µm, in the middle of the widths that are looked for in any volume
_FOREIGN = 0.5  # least distance of the voxels from every model at which widths count
_STEP = sqrt(2)  # factor between sizes that are tried, at most
_STRONG = 0.7  # blobs weaker than this part of the strongest do not count


class Trained(Described):
    """Size of the images and nuclei that a network was trained on: ``describes`` of its card."""

    spacing: tuple[Positive, Positive, Positive]  # µm per voxel, z y x; in planes 1
    diameter_um: Positive  # typical lateral (y, x) diameter of the nuclei


class Sizing(Described):
    """Parameters by which an image is brought to the scale of the training."""

    # the background's noise is at least this share of the contrast
    quietest: float = Field(QUIETEST, gt=0)
    # default nucleus diameter when the user gives none: of bright blobs; of the network's own
    # objects; or that at which its flow fits the objects that it makes best
    diameter: Literal["trained", "estimated", "network", "flow"] = "estimated"
    # an estimate within this factor of the training's changes nothing
    diameter_tolerance: float = Field(1.6, ge=1)
    # largest |ln| of voxel size over the training's without rescaling
    rescale_tolerance: NotNegative = 0.2
    # size of the training where the card describes images of another
    trained: Trained | None = None


def trained_of(card: ModelCard) -> Trained:
    """Return the size of the images and nuclei in a card's ``describes``; else InputError."""
    facts = {key: card.describes[key] for key in Trained.model_fields if key in card.describes}
    if card.describes.get("axes") in ("YX", "CYX"):
        facts["spacing"] = PIXELS
    return parse(f"card {card.name}: describes", facts, Trained)


class Scale(NamedTuple):
    """The size of an image's nuclei next to the training's, its reason, and the working grid."""

    trained: Trained
    tolerance: float  # `Sizing.rescale_tolerance`
    voxel: Lengths  # µm per voxel of the image, (z) y x
    ratio: float  # diameter of the image's nuclei divided by the training's
    # of the ratio: "given" by the user, "shared" by several images, "estimated", by the "network",
    # or "trained"
    source: str
    warnings: Texts = ()  # that a user must see
    blobs: float | None = None  # ratio by bright blobs, before the network's
    choices: Lengths = ()  # further ratios, if it is the network's flow that takes one

    @property
    def settled(self) -> bool:
        """Whether the size was stated, and is no guess from the image."""
        return self.source not in ("trained", "estimated", "network")

    @property
    def spacing(self) -> Lengths:
        """µm per voxel of the image at the scale of the training, z y x."""
        # A plane is as thick as a slice of the training at any scale.
        return (self.trained.spacing[0], *(step / self.ratio for step in self.voxel))[-3:]

    @property
    def factor(self) -> Lengths:
        """Working voxels per voxel of the image, z y x; 1 where it is used as it is."""
        factor = tuple(
            old / new for old, new in zip(self.spacing, self.trained.spacing, strict=True)
        )
        near = all(abs(log(part)) <= self.tolerance + 1e-9 for part in factor)
        return (1.0, 1.0, 1.0) if near else factor

    def by_network(self, ratio: float) -> Self:
        """Return the scale by another size of the nuclei, which the network has seen."""
        warnings = self.warnings if ratio == self.ratio else ()
        return self._replace(
            ratio=ratio, source="network", warnings=warnings, blobs=self.ratio, choices=()
        )


def stated_diameter(volume: Volume) -> float | None:
    """Return the diameter of objects [µm] that the metadata state; InputError for no size."""
    stated = volume.metadata.get("diameter_um")
    if stated is not None and not (isinstance(stated, int | float) and stated > 0):
        raise InputError(f"diameter_um must be a positive number of µm, found {stated!r}")
    return stated


def with_size(facts: Facts, volume: Volume | None, cards: Sequence[ModelCard]) -> dict[str, Value]:
    """Return the facts that choose a model: with the width of nuclei [µm], stated or measured.

    Without it in planes and membranes, and where the voxels are near those of a card: there they
    tell more than an estimate. Of a movie the first frame is measured.
    """
    plain = {key: value for key, value in facts.items() if key != SIZE}
    if not volume or volume.axes not in ("ZYX", "TZYX") or "spacing" not in facts:
        return plain
    edges = (card.describes.get("spacing", "") for card in cards)
    nearest = min((distance("spacing", facts["spacing"], size) for size in edges), default=inf)
    if nearest < _FOREIGN or plain.get("channel", "nucleus") != "nucleus":
        return plain
    if not (width := stated_diameter(volume)):
        image = volume.array[0] if "T" in volume.axes else volume.array
        width = estimate_diameter(
            typical_slices(bright(image), QUIETEST)[::3], volume.spacing, _NUCLEUS, inf
        )
    return {**plain, SIZE: width} if width else plain


def typical_slices(image: Array, quietest: float) -> Floats:
    """Return some slices (n, Y, X) of an image (Z, Y, X), of large ones windows, normalised."""
    depth, *sides = image.shape
    if depth > 1 or prod(sides) > _PIXELS:
        sides = [min(side, _WINDOW) for side in sides]
    windows = [tile.input for tile in plan(image.shape[1:], sides, (0, 0))]
    count = min(_SLICES, max(1, _PIXELS // prod(sides)))
    places = np.linspace(0, depth - 1, count + 2)[1:-1].round().astype(int)
    typical = []
    for place, times in zip(*np.unique(places, return_counts=True), strict=True):
        parts = [np.asarray(image[(place, *window)]) for window in windows]
        # Those with most contrast show nuclei; sums of half precision overflow.
        typical += sorted(parts, key=lambda part: part.std(dtype=float))[-times:]
    release(image)
    return normalise(np.stack(typical), background_of(image, quietest))


def choose_scale(image: Array, volume: Volume, trained: Trained, parameters: Sizing) -> Scale:
    """Return the grid by `diameter_um` or an estimate; InputError for an image 40 times larger."""
    voxel = trained.spacing
    diameter = trained.diameter_um
    stated, ratio, source = stated_diameter(volume), 1.0, "trained"
    choices: Lengths = ()
    if stated is not None:
        ratio = stated / diameter
        source = str(volume.metadata.get("diameter_source", "given"))
    elif parameters.diameter != "trained" or volume.spacing_is_assumed:
        slices = typical_slices(image, parameters.quietest)
        spread = _SPREAD_PX if voxel == PIXELS else _SPREAD
        spacing = (voxel[0], *volume.spacing)[-3:]
        estimate = estimate_diameter(slices, spacing, diameter, spread)
        tolerated = 1.0 if volume.spacing_is_assumed else parameters.diameter_tolerance
        if estimate is not None and abs(log(estimate / diameter)) > log(tolerated):
            ratio = estimate / diameter
            source = "estimated"
        if parameters.diameter == "flow":
            if voxel == PIXELS:
                choices = tuple(ratio * _STEP**step for step in sorted(range(-3, 4), key=abs))
            else:
                free = estimate_diameter(slices, spacing, _NUCLEUS, inf) or diameter
                if abs(far := log(free / diameter)) > log(tolerated):
                    count = ceil(abs(far) / log(_STEP))
                    choices = tuple(exp(far * step / count) for step in range(count + 2))
    size = f"{text(volume.spacing)} µm"
    odd = source == "estimated" and not volume.spacing_is_assumed and abs(log(ratio)) > log(_FAR)
    warning = (
        f"nuclei odd: with voxels of {size} they look {ratio * diameter:.3g} µm wide, those of "
        f"the model are {diameter:.3g} µm; rescaled to fit, check the voxel size"
    )
    scale = Scale(
        trained,
        parameters.rescale_tolerance,
        volume.spacing,
        ratio,
        source,
        (warning,) if odd else (),
        choices=choices,
    )
    if (more := prod(scale.factor)) > ENLARGED:
        unit = "µm"
        cause = f"voxels of {size} (z, y, x) are too large"
        if voxel == PIXELS:
            unit = "px"
            cause = f"{ratio * diameter:.3g} px are too few"
        raise InputError(
            f"the model is for nuclei or cells of {diameter:.3g} {unit}, for which {cause}: the "
            f"image would be enlarged {more:.0f} times; check channel (--channel) and voxel size "
            "(--spacing), or give --diameter"
        )
    return scale


def sizes_of(scale: Scale, unit: Literal["um", "px"]) -> Scalars:
    """Return the notes on the size of objects, see `size_in`, and state it for the record."""
    name = "µm" if unit == "um" else unit
    trained_um = scale.trained.diameter_um
    state(size=f"{scale.source}: {scale.ratio * trained_um:.3g} {name}")
    sizes = {"diameter": scale.ratio, **({"blobs": scale.blobs} if scale.blobs else {})}
    notes = {f"{key}_{unit}": round(ratio * trained_um, 3) for key, ratio in sizes.items()}
    return {**notes, "diameter_source": scale.source}


def scale_of_objects(labels: Array, scale: Scale) -> Scale:
    """Return the scale by the median diameter of the objects found in a plane (1, Y, X)."""
    edge = np.concatenate([labels[:, [0, -1]].ravel(), labels[:, :, [0, -1]].ravel()])
    areas = np.bincount(labels.ravel())[1:]
    whole = np.delete(areas, np.unique(edge[edge > 0]) - 1)
    whole, areas = whole[whole > 0], areas[areas > 0]  # a number may be of no pixel
    areas = whole if len(whole) >= _ENOUGH else areas
    if not len(areas):
        return scale
    ratio = 2 * sqrt(float(np.median(areas)) / pi) / scale.trained.diameter_um
    refined = scale.by_network(ratio)
    near = abs(log(ratio / scale.ratio)) <= _NEAR
    return scale if near or prod(refined.factor) > ENLARGED else refined


def width_of_objects(labels: Array) -> float:
    """Return the diameter of the object at the middle of the labelled area; inf of none."""
    areas = np.sort(np.bincount(labels.ravel())[1:])
    middle = np.searchsorted(np.cumsum(areas), areas.sum() / 2)
    return 2 * sqrt(areas[middle] / pi) if areas.any() else inf


def estimate_diameter(
    slices: Floats, spacing: Spacing, expected_um: float, spread: float = _SPREAD
) -> float | None:
    """Return the typical lateral diameter of bright blobs in µm, None where no blob stands out.

    Maxima in scale and place of the scale-normalised Laplacian of Gaussian in each normalised slice
    (Z, Y, X); a disc of radius r responds most at sigma = r / sqrt(2). The median over blobs,
    weighted with strength and diameter; smallest and largest scale do not count.
    Lindeberg, International Journal of Computer Vision 30 (1998) 79, doi:10.1023/A:1008045108935.
    """
    widest = min(slices.shape[1] * spacing[1], slices.shape[2] * spacing[2])
    diameters = [expected_um * _RANGE ** (2 * i / (_SCALES - 1) - 1) for i in range(_SCALES)]
    diameters = [d for d in diameters if 3 * max(spacing[1:]) <= d <= widest]
    if len(diameters) < 3:
        return None
    sigmas = [d / (2 * sqrt(2)) for d in diameters]
    response = np.stack(side_by_side(lambda sigma: _laplacian(slices, spacing, sigma), sigmas))
    peak = response == ndimage.maximum_filter(response, (3, 1, 5, 5))
    peak[[0, -1]] = False
    scale, *_ = where = np.nonzero(peak & (response > _FAINTEST))
    if not scale.size:
        return None
    logs = np.log(np.asarray(diameters))[scale]
    # Among blobs of many sizes (a whole embryo is one) the expected size is the likelier.
    weight = response[where] * np.exp(-0.5 * ((logs - log(expected_um)) / spread) ** 2)
    strong = weight > _STRONG * weight.max()
    logs, weight = logs[strong], weight[strong] * np.exp(logs[strong])
    order = np.argsort(logs, kind="stable")
    return exp(float(logs[order][np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2)]))


def _laplacian(slices: Floats, spacing: Spacing, sigma_um: float) -> Floats:
    """Return ``-sigma^2`` times the Laplacian of the smoothed slices, positive in bright blobs."""
    sigma = (0.0, sigma_um / spacing[1], sigma_um / spacing[2])
    smooth = ndimage.gaussian_filter(slices, sigma, mode="nearest", truncate=3.0)
    total = np.zeros_like(slices)
    for axis in (1, 2):
        # Differences, as a truncated kernel of derivatives responds to a constant too.
        inner = total.swapaxes(axis, 0)[1:-1]
        values = smooth.swapaxes(axis, 0)
        inner += np.float32(sigma[axis] ** 2) * (2 * values[1:-1] - values[:-2] - values[2:])
    total[:, [0, -1]] = total[:, :, [0, -1]] = 0  # no neighbours beyond the border
    return total
