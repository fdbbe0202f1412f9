"""Files that `score` compares, as cases: truth, prediction and image by name, and their readers."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from cytosuite.benchmark.commands.options.score import ScoreOptions
from cytosuite.benchmark.scores.facts import AnswerReader, ImageSet, Reader, once
from cytosuite.contract.metadata import view_role
from cytosuite.contract.spacing import trusted
from cytosuite.errors import InputError, at
from cytosuite.files import Paths, TextSeq
from cytosuite.folders import layouts, points, rois, sides
from cytosuite.folders.entries import readable
from cytosuite.folders.index import OUTPUTS, SOCKETS, Item, index
from cytosuite.folders.masks import Masks, Source, read_rules
from cytosuite.formats import imagefiles, lists, without_pixels
from cytosuite.formats.hdf5 import LABELS_FIRST
from cytosuite.metrics.labels.prepare import without_border
from cytosuite.metrics.tracks.track_folder import PLANE, RESULT_TABLE
from cytosuite.volume import SPATIAL, Volume
from cytosuite.volume.arrays import Lengths

UNSIZED = "no voxel size: 1 µm was assumed (--spacing z,y,x in µm sets it)"
ROLES = ("fused", "angle")  # of the answers of Fuse My Cells; of the inputs in reverse


class FilePair(NamedTuple):
    """A case: a truth with its prediction, and the images that belong to it."""

    name: str
    truth: Source
    prediction: Source | None
    image: Path | None
    objects: Source | None  # labels of the objects in the image, or of the cells of points
    spacing: Lengths | None = None  # µm, of points
    group: str = ""  # of HDF5 files, where the user names none
    doubts: TextSeq = ()  # on the voxel size of points

    def readers(self, options: ScoreOptions) -> dict[str, AnswerReader]:
        """Return readers of all that there is; each file is decoded once."""
        readers: dict[str, AnswerReader] = {}
        if self.objects:
            readers["labels"] = once(self.objects, options.group or LABELS_FIRST)
        if self.spacing is not None:
            return readers | {
                side: cache(partial(points.read_annotated, path, self.spacing))
                for side, path in {"truth": self.truth, "prediction": self.prediction}.items()
                if isinstance(path, Path)
            }
        if self.image:
            readers["image"] = _reader(self.image, options)
        drawn = None if isinstance(self.truth, Masks) else PLANE.match(self.truth.name)
        if drawn and options.spacing:
            options = replace(options, spacing=options.spacing[-2:])
        reader = partial(_reader, options=options, border=options.border, group=self.group)
        readers["truth"] = reader(self.truth)
        if self.prediction is not None:
            readers["prediction"] = reader(self.prediction, plane=int(drawn[2]) if drawn else None)
        return readers


def point_pairs(options: ScoreOptions) -> list[FilePair]:
    """Return the cases of files of points; none where the truth is something else."""
    truth = options.truth
    prediction = options.prediction
    true = points.point_files(truth)
    answers = points.point_files(prediction)
    # The predictions may be labels: the folder holds images too.
    both = not answers and (truth / "points").is_dir() and (truth / "images").is_dir()
    if not true or (both and _annotated(options, images=False)):
        return []
    if truth.is_file() and prediction.is_file():
        answers = dict(zip(true, answers.values(), strict=False))
    if not answers.keys() & true.keys():
        raise InputError(
            f"{prediction}: no table with a column x or x_um is named like one of {truth}, for "
            f"example {next(iter(true))}.csv"
        )
    inside = truth / "images"
    images = images_by_name(
        inside if options.image is None and inside.is_dir() else options.image, true
    )
    cells = images_by_name(options.truth_labels, true)
    pairs = []
    for name, path in true.items():
        image, spacing, doubts = images.get(name), options.spacing, list[str]()
        if spacing is None:
            if image is None:
                raise InputError(f"{path}: its voxel size is not known: give --image, or --spacing")
            sized = trusted(without_pixels(image))
            spacing = sized.spacing
            doubts = size_doubts(sized)
        pairs.append(
            FilePair(name, path, answers.get(name), image, cells.get(name), spacing, doubts=doubts)
        )
    return pairs


def size_doubts(image: Volume) -> list[str]:
    """Return the warnings on an image in which lengths are measured."""
    return [*image.origin.warnings, *[UNSIZED] * image.spacing_is_assumed]


def without_truth(options: ScoreOptions, listed: Sequence[FilePair]) -> list[str]:
    """Return the names of files in the folder of predictions that belong to no case."""
    place = options.prediction
    files = points.point_files(place) if listed[0].spacing else sides.named(place, rois=True)
    used = {  # by names, as ROIs stand for their image
        sides.bare_name(Path(str(pair.prediction))).removesuffix(points.END) for pair in listed
    }
    return [name for name in files if name not in used and not view_role(name)]


def images_by_name(path: Path | None, true: Paths) -> Paths:
    """Return images by their case; a single file belongs to the only case."""
    if path is None:
        return {}
    if path.is_file():
        return dict.fromkeys(true, path) if len(true) == 1 else {}
    return sides.partners(true, path, sides.named(path))


def image_pairs(options: ScoreOptions, families: Iterable[str]) -> list[FilePair]:
    """Return the cases of images or labels, for metrics of some families."""
    images = {*families} == {"images"}
    labels = "labels" in families
    if cases := _annotated(options, images=images):
        pairs = _of_items(options, cases)
    else:
        roles = ROLES if images else ()
        files = _pairs(options.truth, options.prediction, roles, (labels, labels))
        near, objects = (
            dict(_pairs(options.truth, place, ways, (labels, False)) if place else ())
            for place, ways in ((options.image, roles[::-1]), (options.truth_labels, ()))
        )
        pairs = [
            FilePair(sides.bare_name(file), file, match, near.get(file), objects.get(file))
            for file, match in files
        ]
    return [
        pair._replace(
            truth=_drawn(pair.truth, pair.image, pair.prediction),
            prediction=pair.prediction and _drawn(pair.prediction, pair.image, pair.truth),
            group=LABELS_FIRST * labels,
        )
        for pair in pairs
    ]


def sequences(truth: Path, prediction: Path) -> dict[str, tuple[Path, Path]]:
    """Return truth and result of each sequence in the challenge's layout, if it is that.

    A result is a folder of the challenge, or the movie that ``apply`` writes, beside its tracks.
    """
    if (truth / "TRA").is_dir():
        pairs = {truth.name.removesuffix("_GT"): (truth, prediction)}
    else:
        folders = sorted(path for path in truth.glob("[0-9][0-9]_GT") if (path / "TRA").is_dir())
        pairs = {path.name[:2]: (path, prediction / f"{path.name[:2]}_RES") for path in folders}
    written = {name for name in pairs if (prediction / f"{name}-tracks.csv").is_file()}
    return {
        name: (true, prediction / f"{name}.tif")
        if name in written and not (result / RESULT_TABLE).is_file()
        else (true, result)
        for name, (true, result) in pairs.items()
    }


def _pairs(
    truth: Path,
    prediction: Path,
    roles: TextSeq = (),
    drawn: tuple[bool, bool] = (False, False),
) -> list[tuple[Path, Path | None]]:
    """Return each file of the truth with the prediction of its name, or of its view."""
    if sides.is_file(truth) != sides.is_file(prediction):
        raise InputError(f"expected two files or two folders, found {truth} and {prediction}")
    if sides.is_file(truth):
        return [(truth, prediction)]
    files = sides.named(truth, rois=drawn[0])
    others = sides.named(prediction, rois=drawn[1])
    views = {key: view_role(key) for key in files}
    fused = {key: view[0] for key, view in views.items() if view and view[1] == "fused"}
    matches = sides.partners(files, prediction, others)
    if roles and fused:
        files = {key: path for key, path in files.items() if key in fused or views[key] is None}
        seen = {view_role(key): path for key, path in others.items()}
        matches |= {
            key: seen[view]
            for key, specimen in fused.items()
            for role in reversed(roles)  # the first one counts
            if (view := (specimen, role)) in seen
        }
    if not matches.keys() & files.keys():
        raise InputError(
            f"{prediction}: no file is named like one in {truth}; expected for example "
            f"{next(iter(files.values())).name}"
        )
    return [(path, matches.get(key)) for key, path in files.items()]


def _annotated(options: ScoreOptions, *, images: bool) -> list[tuple[Item, Source]]:
    """Return cases and their truth in a folder of more than files of one kind, none of others."""
    place = options.truth
    plain = images or (rois.roi_files(place, ()) and not readable(place))
    if not lists.is_list(place) and (
        sides.is_file(place) or (plain and not layouts.annotated(place).items)
    ):
        return []
    table = index(place, None if images else "segment", root=options.data_root)
    kind = "image" if images else "labels"
    true = {slug for slug in OUTPUTS if SOCKETS[slug].kind == kind}
    return [
        (item, files[0])
        for item in table.items
        if (files := [path for slug, path in item.files.items() if slug in true])
    ]


def _of_items(options: ScoreOptions, cases: Sequence[tuple[Item, Source]]) -> list[FilePair]:
    """Return the cases of an annotated folder."""
    if options.image not in (None, options.truth):
        raise InputError(f"--image {options.image}: {options.truth} names the images; leave it out")
    names = [item.name for item, _ in cases]
    predictions = sides.named(options.prediction, rois=True)
    matches = sides.partners(names, options.prediction, predictions)
    if not matches:  # of programs that leave out folders
        stems = [imagefiles.image_name(item.image) for item, _ in cases]
        if len({*stems}) == len(names):
            names = stems
        matches = sides.partners(names, options.prediction, predictions)
    if not matches:
        raise InputError(
            f"{options.prediction}: no file is named like an image in {options.truth}; expected "
            f"for example {names[0]}.tif"
        )
    return [
        FilePair(name, truth, matches.get(name), item.image, truth)
        for name, (item, truth) in zip(names, cases, strict=True)
    ]


def _drawn(source: Source, *others: Source | None) -> Source:
    """Return ROIs as labels of the size of another file of the case, or of an image near them."""
    if isinstance(source, Masks) or not rois.is_rois(source):
        return source
    files = [
        partner.image if isinstance(partner, Masks) else partner for partner in others if partner
    ]
    near = (
        path for path in readable(source.parent) if sides.bare_name(path) == sides.bare_name(source)
    )
    image = next((path for path in files if not rois.is_rois(path)), None) or next(near, None)
    if image is None:
        raise InputError(f"{source}: expected an image of its size: --image, or beside the ROIs")
    return Masks(source.parent, source, read_rules(source.parent), image=image)


def _reader(
    path: Source,
    options: ScoreOptions,
    border: int = 0,
    plane: int | None = None,
    group: str = "",
) -> Reader:
    """Return a reader of a file, of a plane of a volume, in `--spacing`, without a border."""
    volume = once(path, options.group or group)

    def read() -> Volume:
        """Decode it on first use."""
        image = volume()
        if plane is not None and image.axes == "ZYX":
            if plane >= len(image.array):
                raise InputError(f"{path}: expected a plane {plane}, found {len(image.array)}")
            image = Volume(image.array[plane], image.spacing[1:], "YX")
        if (size := options.spacing) is None:
            image = trusted(image)
        else:
            axes = SPATIAL[-len(size) :] if image.array.ndim == len(size) else image.axes
            with at(f"{path}: --spacing"):
                image = Volume(image.array, size, axes, origin=image.origin)
        return image.like(without_border(image.array, border)) if border else image

    return cache(read)


def side(options: ScoreOptions, path: Path, labels: Path | None) -> ImageSet:
    """Return one set of images, with the labels of the same names."""
    read = partial(_reader, options=options)
    if labels is None:
        flat = sides.is_file(path) or readable(path)
        items = () if flat else index(path, "segment", root=options.data_root).items
        files = [item.image for item in items] or sides.files_of(path, options.data_root)
        return ImageSet([*map(read, files)])
    pairs = _pairs(path, labels)
    if missing := [file.name for file, match in pairs if match is None]:
        raise InputError(f"{labels}: no labels for {missing[0]} ({len(missing)} are missing)")
    labelled = [read(match, group=LABELS_FIRST) for _, match in pairs if match]
    return ImageSet([read(file) for file, _ in pairs], labelled)
