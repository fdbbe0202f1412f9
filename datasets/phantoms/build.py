"""Write a library of phantoms, cut from stacks or drawn, or an outline of tissue as a mask."""

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import Bodies
from cytosuite.contract.interface import is_finite
from cytosuite.contract.tasks import LABELS
from cytosuite.datasets.phantoms.library import Library, Phantom, from_mask, spread, write_phantom
from cytosuite.datasets.phantoms.stored import ALTERATION, augment
from cytosuite.datasets.physics.bodies import chromatin_tile
from cytosuite.datasets.physics.labels import largest_piece
from cytosuite.datasets.physics.shapes import divide, draw_nuclei
from cytosuite.errors import InputError, at, plain
from cytosuite.files import IntDict, atomic, digest, need_folder, write_json
from cytosuite.folders.entries import case_name, entries, key_of
from cytosuite.folders.index import index
from cytosuite.folders.masks import Source, files_of, read_labels
from cytosuite.folders.sides import named, partners
from cytosuite.formats import read, write
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Bools, Box, Image, Integers, Lengths, Rng, Shape
from cytosuite.volume.objects import objects_in, on_face, wider

FEW = 64  # unlabelled voxels near a nucleus below which their median is too uncertain

Cut = tuple[int, Image, Bools]  # label, light above the background, mask
EDGE = 3  # voxels of background around the box of a nucleus
CHROMATIN_UM = 0.6
RECORD = "library.json"
Entry = dict[str, object]
SMOOTH_UM = 6.0  # closes the gaps between nuclei


class Cutting(NamedTuple):
    """Options of cutting nuclei out."""

    spacing_um: Lengths | None = None  # in place of the image's
    margin_um: float = 3.0  # around a box, in which the background is measured
    min_voxels: int = 100  # smaller objects are skipped
    smooth_um: float = 0.0  # sigma within each nucleus, against noise


USUAL_CUTTING = Cutting()


class CutObject(NamedTuple):
    """Outcome for one labelled object."""

    label: int  # in the label image
    voxels: int  # of its largest connected piece, or of the largest one that is left out
    skipped: str = ""  # why it is no phantom; empty for those that are
    background: float = 0.0  # grey value that was taken off
    background_from: str = ""  # "surroundings" or "stack"


class Extraction(NamedTuple):
    """The phantoms of a stack, ``nucleus_<label>``, and the outcome for each of its objects."""

    phantoms: Library  # by rising label
    objects: tuple[CutObject, ...]  # of each label, kept or skipped, and of large lost pieces


def extract(image: Volume, labels: Volume, options: Cutting = USUAL_CUTTING) -> Extraction:
    """Return nuclei off the border, relative to the median one; InputError for another form."""
    grey, marked, spacing = _checked(image, labels, options)
    margin = [int(np.ceil(options.margin_um / step)) for step in spacing]
    stack = cache(lambda: _most_frequent(grey[marked == 0]))  # rarely needed
    cuts = []
    objects = []
    for label, box, inside in objects_in(marked):
        mask = largest_piece(inside)
        voxels = int(np.count_nonzero(mask))
        entry = CutObject(label, voxels, _unfit(box, marked.shape, voxels, options.min_voxels))
        if not entry.skipped:
            local = _surroundings(grey, marked, box, margin)
            level, source = (stack(), "stack") if local is None else (local, "surroundings")
            entry = entry._replace(background=level, background_from=source)
            above = np.asarray(grey[box] - level, np.float32)
            if above[mask].mean() > 0:
                cuts.append((label, _smoothed(above, mask, spacing, options.smooth_um), mask))
            else:
                entry = entry._replace(skipped="not brighter than its background")
        objects.append(entry)
        rest = int(np.count_nonzero(largest_piece(inside & ~mask)))
        if rest >= options.min_voxels:
            objects.append(CutObject(label, rest, "lies apart from a larger piece of its label"))
    return Extraction(_relative(cuts, spacing), tuple(objects))


def _relative(cuts: list[Cut], spacing: Lengths) -> Library:
    """Return phantoms with intensities relative to the median nucleus."""
    median = np.median([above[mask].mean() for _, above, mask in cuts]) if cuts else 1.0
    return tuple(
        from_mask(
            f"nucleus_{label:04d}",
            np.maximum(above / np.float32(median), np.float32(0)),  # noise around the background
            mask,
            spacing,
        )
        for label, above, mask in cuts
    )


def _smoothed(above: Image, mask: Bools, spacing: Lengths, smooth_um: float) -> Image:
    """Return an image averaged with Gaussian weights over the voxels of a mask alone."""
    if smooth_um <= 0:
        return above
    sigma = [smooth_um / step for step in spacing]
    weight = ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="constant")
    total = ndimage.gaussian_filter(np.where(mask, above, 0), sigma, mode="constant")
    return np.asarray(total / np.maximum(weight, np.float32(1e-6)), np.float32)


def _unfit(box: Box, shape: Shape, voxels: int, min_voxels: int) -> str:
    """Return why an object is not cut out, empty if it can be."""
    if on_face(box, shape):
        return "touches the border"
    return f"smaller than {min_voxels} voxels" if voxels < min_voxels else ""


def _surroundings(grey: Array, marked: Integers, box: Box, margin: list[int]) -> float | None:
    """Return the median of the unlabelled voxels around a box, None where these are few."""
    wide = wider(box, margin)
    values = grey[wide][marked[wide] == 0]
    return float(np.median(values)) if values.size >= FEW else None


def _most_frequent(values: Array) -> float:
    """Return the mode of values, 0 where there are none."""
    if not values.size:
        return 0.0
    counts, edges = np.histogram(values, bins=256)
    at = int(counts.argmax())
    return float(edges[at : at + 2].mean())


def _checked(image: Volume, labels: Volume, cutting: Cutting) -> tuple[Array, Integers, Lengths]:
    """Return the arrays of image and labels and the voxel size, or refuse them."""
    if image.axes != "ZYX" or labels.shape != image.shape:
        raise InputError(
            f"phantoms are cut from 3D images with labels of the same shape, found an image of "
            f"shape {image.shape} and labels of shape {labels.shape}"
        )
    spacing = image.sized(
        cutting.spacing_um, "the image gives no voxel size; give its spacing in µm (z, y, x)"
    )
    if not is_finite(image.array):
        raise InputError("the image must hold finite intensities, found NaN or infinity")
    return image.array, _whole(labels).array, spacing


def _whole(labels: Volume) -> Volume:
    """Return labels, or refuse them unless they are integers."""
    if labels.array.dtype.kind not in "ui":
        raise InputError(f"labels must be integers, found dtype {labels.array.dtype}")
    return labels


def draw_library(rng: Rng, count: int, spacing_um: Lengths) -> list[Phantom]:
    """Return phantoms of nuclei, 3 % in mitosis; a pair of daughters makes two of the `count`."""
    nuclei = draw_nuclei(rng, count, diameter_um=9.0, mitotic_fraction=0.03)
    nuclei = divide(rng, nuclei, np.zeros((count, 3)))[0].take(np.arange(count))
    return render(
        nuclei, spacing_um, chromatin_tile(rng, Grid((1, 1, 1), spacing_um), CHROMATIN_UM)
    )


def render(bodies: Bodies, spacing_um: Lengths, tile: Image) -> list[Phantom]:
    """Return a phantom of each body; voxels of its soft rim take the density farther inside."""
    phantoms = []
    reach = 2 * float(bodies.semi_axes_um.max(initial=0.0))
    grid = Grid(tuple(2 * int(np.ceil(reach / step) + EDGE) for step in spacing_um), spacing_um)
    middle = np.asarray(grid.size_um) / 2
    # All lie on one spot: each patch is painted in a box of its own.
    for patch in bodies.patches(np.tile(middle, (len(bodies), 1)), grid, grid.voxel_um):
        light = patch.on_box(bodies.density(patch, grid, tile))
        distance = patch.on_box(patch.distance, 2.0)
        radius = float(bodies.semi_axes_um[patch.index].prod() ** (1 / 3))
        light = spread(light, distance < 1 - grid.voxel_um / (2 * radius), spacing_um)
        phantoms.append(from_mask(f"drawn_{patch.index + 1:04d}", light, distance < 1, spacing_um))
    return phantoms


class LibrarySummary(NamedTuple):
    """Numbers of a new library."""

    nuclei: int  # cut from stacks, or drawn
    copies: int  # altered
    skipped: IntDict  # objects that were not cut out, by reason
    median_volume_um3: float  # of the nuclei, without copies


def extract_to(
    image_path: Path,
    labels_path: Path | None,
    folder: Path,
    *,
    cutting: Cutting = USUAL_CUTTING,
    augment_copies: int = 0,
    seed: int = 0,
) -> LibrarySummary:
    """Cut nuclei of annotated stacks (two files, two folders, one and None) into a library."""
    need_folder(folder, new=True)
    rng = np.random.default_rng(seed)
    skipped = Counter[str]()
    nuclei, sources, entries = list[Phantom](), list[Entry](), list[Entry]()
    with atomic(folder) as temporary:
        for name, image, labels in _pairs(image_path, labels_path):
            with at(labels):
                marked = _whole(read_labels(labels))
            with at(image):
                cut = extract(read(image), marked, cutting)
            files = {
                kind: {"file": plain(path.name), "sha256": digest(files_of(path), path.parent)}
                for kind, path in (("image", image), ("labels", labels))
            }
            objects = [item._asdict() for item in cut.objects]
            sources.append({"name": name, **files, "objects": objects})
            skipped.update(item.skipped for item in cut.objects if item.skipped)
            for phantom in cut.phantoms:
                nucleus = replace(phantom, name=f"{name}_{phantom.name}")
                nuclei.append(nucleus)
                entries.append(_written(temporary, nucleus, name))
                for number in range(1, augment_copies + 1):
                    copy = replace(augment(rng, nucleus), name=f"{nucleus.name}_copy_{number:02d}")
                    entries.append(_written(temporary, copy, name))
        if not nuclei:
            reasons = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
            raise InputError(
                f"{image_path}: expected nuclei to cut out, found none ({reasons or 'no label'})"
            )
        parameters = {
            "cutting": cutting._asdict(),
            "augment_copies": augment_copies,
            "alteration": ALTERATION,
        }
        write_json(
            temporary / RECORD,
            {"seed": seed, "parameters": parameters, "sources": sources, "phantoms": entries},
        )
    return LibrarySummary(
        len(nuclei), len(entries) - len(nuclei), dict(skipped), _median_volume(nuclei)
    )


def draw_to(
    folder: Path, count: int, *, spacing_um: Lengths = (0.5, 0.25, 0.25), seed: int = 0
) -> LibrarySummary:
    """Write a library of drawn nuclei; InputError for a folder with content."""
    need_folder(folder, new=True)
    phantoms = draw_library(np.random.default_rng(seed), count, spacing_um)
    with atomic(folder) as temporary:
        entries = [_written(temporary, phantom, "drawn") for phantom in phantoms]
        parameters = {"count": count, "spacing_um": list(spacing_um)}
        write_json(
            temporary / RECORD,
            {"seed": seed, "parameters": parameters, "sources": [], "phantoms": entries},
        )
    return LibrarySummary(len(phantoms), 0, {}, _median_volume(phantoms))


def _median_volume(phantoms: list[Phantom]) -> float:
    return float(np.median([phantom.volume_um3 for phantom in phantoms]))


def _pairs(image_path: Path, labels_path: Path | None) -> list[tuple[str, Path, Source]]:
    """Return name, image and labels of each stack."""
    if not labels_path:
        items = index(image_path, "segment").labelled(image_path)
        return [(item.name, item.image, item.files[LABELS.slug]) for item in items]
    stacks: list[tuple[str, Path, Source]]
    if image_path.is_dir():
        if not labels_path.is_dir():
            raise InputError(f"{labels_path}: expected a folder of labels as images is one")
        images = named(image_path)
        labels = partners(images, labels_path, named(labels_path))
        stacks = [(case_name(key), images[key], path) for key, path in labels.items()]
    else:
        stacks = [(case_name(key_of(image_path)), image_path, labels_path)]
    if not stacks:
        raise InputError(f"{image_path}: expected images with labels of the same name, found none")
    return stacks


def _written(folder: Path, phantom: Phantom, source: str) -> Entry:
    write_phantom(folder, phantom)
    return {
        "name": phantom.name,
        "source": source,
        "volume_um3": round(phantom.volume_um3, 3),
        "brightness": round(phantom.brightness, 4),
        "volume_ratio": round(phantom.volume_ratio, 4),
    }


def outline(image: Volume, smooth_um: float = SMOOTH_UM) -> Volume:
    """Return a mask (Z, Y, X), 255 in the tissue: the largest piece above the mean, holes filled.

    Smoothing and threshold follow Bruch et al. (2023), doi:10.1371/journal.pone.0283828.
    """
    if image.axes != "ZYX":
        raise InputError(f"expected one channel (z, y, x), found {image.shape} with {image.axes}")
    smooth = ndimage.gaussian_filter(
        image.array.astype(np.float32), [smooth_um / step for step in image.spacing]
    )
    bright = smooth > smooth.mean(dtype=np.float64)
    if not bright.any():
        raise InputError("expected tissue brighter than its surroundings, found one grey value")
    tissue = ndimage.binary_fill_holes(largest_piece(bright))
    return Volume(np.where(tissue, 255, 0).astype(np.uint8), image.spacing, "ZYX")


def outline_to(
    folder: Path, stacks: Path, *, spacing_um: Lengths | None = None, smooth_um: float = SMOOTH_UM
) -> list[Path]:
    """Write the outline of a stack, or of each in a folder, as ``<name>_mask.tif`` in a new one."""
    need_folder(folder, new=True)
    images = [*entries(stacks).images.values()] if stacks.is_dir() else [stacks]
    if not images:
        raise InputError(f"{stacks}: expected stacks, found none")
    names = [f"{case_name(key_of(path))}_mask.tif" for path in images]
    with atomic(folder) as temporary:
        for path, name in zip(images, names, strict=True):
            with at(path):
                image = read(path)
                refusal = "the file gives no voxel size; give --spacing z,y,x in µm"
                image = Volume(image.array, image.sized(spacing_um, refusal), image.axes)
                write(temporary / name, outline(image, smooth_um))
    return [folder / name for name in names]
