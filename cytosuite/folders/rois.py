"""ROIs of ImageJ: labels as ``<name>_rois.zip``, and the regions of such files.

A ROI of ours is named by its label, ``0012``, in volumes also by its plane, ``0012-z007``.
"""

import logging
import re
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import numpy as np

from cytosuite.errors import InputError, at
from cytosuite.files import IntPair, Paths, TextSeq, atomic, read_head
from cytosuite.files.archive import opened_zip
from cytosuite.folders.entries import natural, one_per_name
from cytosuite.folders.outlines import CORNERS, Canvas, Pixels, box_of, fill, trace
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Shape

if TYPE_CHECKING:
    from roifile import ImagejRoi

ENDING, SET, SINGLE = "_rois.zip", "RoiSet.zip", ".roi"
OURS = re.compile(r"(?P<label>\d{4,10})(-z(?P<plane>\d{3,9}))?")
THEIRS = re.compile(r"(\d{4,6})-\d{4,6}-\d{4,6}(-\d+)?")  # of ImageJ in stacks: plane, y, x
COPY = re.compile(r"-\d+")  # ImageJ's mark of a name that stands twice
NOTHING = b"no objects"  # comment of an archive: ImageJ writes none without ROIs
FARTHEST = 60535  # pixels: ImageJ takes larger places in a file for negative ones
LABELS = 2**31  # labels of ROIs are less
LARGEST = 16 * CORNERS  # bytes of a ROI: three numbers and more for each corner
BYTES, ENTRIES = 2**29, 2**18  # of all ROIs of an image
# Errors of the libraries for altered bytes.
WRONG = (ArithmeticError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
logging.getLogger("roifile").addHandler(logging.NullHandler())  # we refuse or count instead


class RoiObject(NamedTuple):
    """An object: its name, its label or 0, and its places in the flat image."""

    name: str
    label: int
    pixels: Pixels


def is_rois(path: Path) -> bool:
    """Return whether a file holds ROIs, by its name."""
    return path.suffix.lower() in (".zip", SINGLE)


def name_of(path: Path) -> str:
    """Return the name of the image of a file of ROIs, nothing for another file."""
    ending = next((end for end in (ENDING, SINGLE) if path.name.lower().endswith(end)), "")
    return path.name[: -len(ending)]


def roi_files(folder: Path, names: TextSeq) -> Paths:
    """Return the files of ROIs in a folder by the image's name, ``RoiSet.zip`` by the only one."""
    lone = names[0] if len(names) == 1 else ""
    paths = sorted(folder.iterdir()) if folder.is_dir() else ()
    files = [path for path in paths if path.name[0] != "." and path.is_file()]
    named = [((path.name == SET and lone) or name_of(path), path) for path in files]
    return one_per_name(folder, [(name, path) for name, path in named if name])


def write_rois(path: Path, labels: Volume) -> None:
    """Write the outlines of labels of a plane or volume, one ROI for each label and plane.

    InputError for images that ROIs cannot hold.
    """
    array = labels.array
    volume = labels.axes == "ZYX"
    if labels.axes not in ("YX", "ZYX") or array.dtype.kind not in "ui":
        raise InputError(
            "expected labels of a plane or volume, whole numbers, found "
            f"axes {labels.axes} of {array.dtype}"
        )
    if max(array.shape[-2:]) > FARTHEST:
        raise InputError(f"expected at most {FARTHEST} pixels, as ROIs hold, found {array.shape}")
    with atomic(path) as temporary, ZipFile(temporary, "w") as archive:
        for z, plane in enumerate(array if volume else [array], 1):
            for label, paths in trace(plane):
                name = f"{label:04d}-z{z:03d}" if volume else f"{label:04d}"
                with at(f"ROI {name}"):
                    if not 0 < label < LABELS:
                        raise InputError(f"expected labels from 0 to {LABELS - 1}")
                    content = _drawn(paths, name, z if volume else 0)
                if len(archive.filelist) == ENTRIES:
                    raise InputError(f"expected at most {ENTRIES} ROIs of an image")
                archive.writestr(ZipInfo(f"{name}.roi"), content, ZIP_DEFLATED)
        archive.comment = b"" if archive.filelist else NOTHING


def _drawn(paths: Sequence[Array], name: str, position: int) -> bytes:
    """Return the outlines of a region in a plane: a traced polygon, of several a composite ROI.

    ImageJ moves and deletes all pieces and holes of a composite ROI together.
    """
    from roifile import ROI_TYPE, ImagejRoi

    corners = np.concatenate(paths)
    if len(corners) > CORNERS:
        raise InputError(f"expected at most {CORNERS} corners, found {len(corners)}")
    (left, top), (right, bottom) = corners.min(0).tolist(), corners.max(0).tolist()
    places = {"left": left, "top": top, "right": right, "bottom": bottom, "position": position}
    if len(paths) == 1:
        places |= {"n_coordinates": len(corners)}
        corner_steps = (corners - (left, top)).astype(np.int32)
        roi = ImagejRoi(
            name=name, roitype=ROI_TYPE.TRACED, integer_coordinates=corner_steps, **places
        )
    else:  # in turn 0 and the first corner, 1 and a further one, 4 at the end
        parts = [np.append(np.insert(path, 0, np.arange(len(path)) > 0, 1), 4) for path in paths]
        shape = np.concatenate(parts).astype(np.float32)
        places |= {"shape_roi_size": len(shape)}
        roi = ImagejRoi(name=name, roitype=ROI_TYPE.RECT, multi_coordinates=shape, **places)
    return roi.tobytes()


def read_rois(path: Path, shape: Shape, channels: int = 1) -> tuple[list[RoiObject], Counter[str]]:
    """Return the regions in a file for an image (y, x or z, y, x), and counts of other ROIs.

    ImageJ counts flat positions through the `channels` of each plane.
    Those of one label are one region; in volumes also those of one name in successive planes.
    InputError for a file that is broken, of another image, or larger than ROIs can be.
    """
    labelled = defaultdict[int, list[_Part]](list)
    others = defaultdict[str, list[_Part]](list)
    counts = Counter[str]()
    canvas = Canvas(shape)
    with at(path):
        for name, roi in _rois(path):
            with at(f"ROI {name}"):
                if roi.t_position > 1:
                    counts["frames"] += 1
                elif (pixels := _pixels(roi, canvas, counts)) is None:
                    counts["no areas"] += 1
                else:
                    label, named = _named(name)
                    flat = roi.position or named
                    ours = label and flat == named  # as `write_rois` counts
                    z = _checked(roi.z_position or (flat if ours else ceil(flat / channels)), shape)
                    (labelled[label] if label else others[name]).append(
                        _Part(z, pixels + z * shape[-2] * shape[-1])
                    )
    objects = [_joined(f"{label:04d}", label, labelled[label]) for label in sorted(labelled)]
    for name in sorted(others, key=natural):
        objects += [_joined(name, 0, run) for run in _runs(others[name], volume=len(shape) == 3)]
    return objects, counts


class _Part(NamedTuple):
    """A region in one plane."""

    plane: int
    pixels: Pixels


def _joined(name: str, label: int, parts: Sequence[_Part]) -> RoiObject:
    pixels = np.concatenate([part.pixels for part in parts])
    lone = len({part.plane for part in parts}) == len(parts)
    return RoiObject(name, label, pixels if lone else np.unique(pixels))


def _runs(parts: Sequence[_Part], *, volume: bool) -> Iterator[list[_Part]]:
    """Yield the parts of one name that are an object: in a plane each, in volumes without gaps."""
    run: list[_Part] = []
    for part in sorted(parts, key=lambda part: part.plane):
        if run and not (volume and part.plane <= run[-1].plane + 1):
            yield run
            run = []
        run.append(part)
    yield run


def _rois(path: Path) -> Iterator[tuple[str, "ImagejRoi"]]:
    """Yield the ROIs in a file with their names; nothing is unpacked."""
    from roifile import ImagejRoi

    for name, content in _contents(path):
        try:
            roi = ImagejRoi.frombytes(content)
        except (*WRONG, struct.error):
            raise InputError(f"ROI {name}: cannot be read, cut or broken") from None
        if max(roi.n_coordinates, roi.shape_roi_size // 3) > CORNERS:
            raise InputError(f"ROI {name}: expected at most {CORNERS} corners")
        copied = name.startswith(roi.name) and COPY.fullmatch(name, len(roi.name))
        yield (roi.name or name if copied else name), roi


def _contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the name and bytes of each ROI in a file, or archive of bounded size."""
    if path.name.lower().endswith(SINGLE):
        content = read_head(path, LARGEST + 1)
        _need(len(content) <= LARGEST, f"a ROI of at most {LARGEST} bytes")
        yield path.name[: -len(SINGLE)], content
        return
    with opened_zip(path, ENTRIES, BYTES) as archive:
        empty = not archive.members and archive.archive.comment != NOTHING
        _need(not empty, "ROIs, found an empty zip file")
        for name, info in archive.members.items():
            plain = name.suffix.lower() == SINGLE and len(name.parts) == 1
            _need(plain, f"ROIs without folders, like 0012.roi, found {name}")
            _need(info.file_size <= LARGEST, f"{name} of at most {LARGEST} bytes")
        for name in archive.members:
            yield name.name[: -len(SINGLE)], archive.read(name)


def _need(truth: bool, expected: str) -> None:
    if not truth:
        raise InputError(f"expected {expected}")


def _named(name: str) -> IntPair:
    """Return the label and the plane in a name of ours or of ImageJ, 0 where it lacks one."""
    if match := THEIRS.fullmatch(name):
        return 0, int(match[1])
    match = OURS.fullmatch(name)
    label = int(match["label"]) if match else 0
    if not match or f"{label:04d}" != match["label"] or label >= LABELS:
        return 0, 0
    return label, int(match["plane"] or 0)


def _checked(z: int, shape: Shape) -> int:
    """Return a plane from 0 by its position from 1, 0 of planes; InputError for no plane."""
    planes = 1 if len(shape) == 2 else shape[0]
    if z == 0 and planes > 1:
        raise InputError(
            f"expected its position, plane 1 to {planes}, found none; ROI Manager > Properties "
            "sets it"
        )
    if not 0 <= z <= planes:
        raise InputError(f"expected it in plane 1 to {planes}, found it in {z}")
    return max(z - 1, 0)


def _pixels(roi: "ImagejRoi", canvas: Canvas, counts: Counter[str]) -> Pixels | None:
    """Return the places in a flat plane of a ROI, None of points, lines and texts."""
    from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE

    kind = roi.roitype
    shape = canvas.shape[-2:]
    drawn = kind in (ROI_TYPE.POLYGON, ROI_TYPE.FREEHAND, ROI_TYPE.TRACED)
    if roi.subtype in (ROI_SUBTYPE.TEXT, ROI_SUBTYPE.ARROW, ROI_SUBTYPE.IMAGE):
        return None
    if not drawn and kind not in (ROI_TYPE.RECT, ROI_TYPE.OVAL):
        return None
    curved = drawn and bool(roi.options & ROI_OPTIONS.SPLINE_FIT)
    curved |= kind == ROI_TYPE.RECT and roi.rounded_rect_arc_size > 0
    box = [
        (roi.left, roi.top),
        (roi.right, roi.top),
        (roi.right, roi.bottom),
        (roi.left, roi.bottom),
    ]
    paths = [np.array(box)]
    if drawn or roi.composite:
        try:
            paths = [np.asarray(path) for path in roi.coordinates(multi=True) if len(path)]
        except NotImplementedError:
            curved = True
        except WRONG:
            raise InputError("cannot be read, cut or broken") from None
    if curved:
        raise InputError("expected straight lines, found curves; Edit > Selection > Interpolate")
    if not paths:
        return np.zeros(0, np.intp)
    pixels = fill(paths, shape, canvas)
    top, left, bottom, right = box_of(paths)
    counts["clipped"] += top < 0 or left < 0 or bottom > shape[0] or right > shape[1]
    if kind == ROI_TYPE.OVAL:  # of the pixels of its box
        rows, columns = np.divmod(pixels, shape[1])
        far = ((rows + 0.5 - (top + bottom) / 2) * 2 / (bottom - top)) ** 2
        far += ((columns + 0.5 - (left + right) / 2) * 2 / (right - left)) ** 2
        pixels = pixels[far <= 1]
    return pixels
