"""Cases for the slice viewer of a page, each within its share of bytes, and still pictures."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cytosuite.benchmark.report.pictures.scenes import (
    VOXELS,
    CaseVolumes,
    ShownVolume,
    columns,
    deflated,
    read_scene,
    shrunk,
    sprite,
)
from cytosuite.benchmark.report.pictures.stills import Still, codes, still
from cytosuite.benchmark.runs.data.planes import cut_at
from cytosuite.benchmark.scores.results import CaseFiles, Results
from cytosuite.contract.tasks import Kind, Socket
from cytosuite.errors import CytosuiteError
from cytosuite.files import Entries, FloatMap, Json, TextMap, TextSeq
from cytosuite.metrics.tracks.tracking import LINK_ERRORS

CASES = 50  # in the viewer at most
ALGORITHMS = 6
PICTURE_BYTES = 13_000_000  # of all cases
CASE_BYTES = 2_500_000  # of one, where there are few
STILLS = 3  # worst, middle and best case, for print and for readers without scripts
QUALITY: Mapping[Kind, int] = {"labels": 50, "image": 80}  # of JPEG, by kind of output
LABEL_SHARE = 0.5  # of the bytes of a case, where outputs are labels
LINKS = dict(zip(LINK_ERRORS, "dgwbDlk", strict=True))  # letter of each kind of wrong link
SMALLEST = 4096  # voxels of a volume at least


class CaseView(NamedTuple):
    """A case of the viewer."""

    case: str  # its name
    data: Json  # plain values for the script, see `slices.js`
    counts: TextMap  # a sentence on the output of each algorithm, by its name
    size: int  # bytes of its volumes on the page
    still: Still | None  # its planes as a picture


def choose(goodness: FloatMap, limit: int) -> list[str]:
    """Return the cases to picture, worst first: a third worst, a third best, the rest between."""
    order = sorted(goodness, key=goodness.__getitem__)
    ends = limit // 3
    count = len(order)
    if count <= limit:
        return order
    middle = order[ends : count - ends]
    room = limit - 2 * ends
    between = [middle[(2 * n + 1) * len(middle) // (2 * room)] for n in range(room)]
    return [*order[:ends], *between, *order[count - ends :]]


def draw_all(
    results: Results, output: Socket, cases: Sequence[CaseFiles], algorithms: TextSeq
) -> tuple[list[CaseView], list[str]]:
    """Return a view of each case, worst first, and a sentence on each that cannot be drawn."""
    views = []
    problems = []
    left = PICTURE_BYTES
    real = results.reference
    last = len(cases) - 1
    stills = {n * last // max(1, STILLS - 1) for n in range(STILLS)}
    for index, files in enumerate(cases):
        neighbour = real[index * len(real) // len(cases)] if real else None
        try:
            scene = read_scene(results, output, files, algorithms, neighbour)
        except (CytosuiteError, OSError) as error:
            problems.append(f"{files.name}: {error}")
            continue
        share = max(0, min(CASE_BYTES, left // (len(cases) - index)))
        kind = "labels" if output.kind == "points" else output.kind  # points are circles
        view = draw(scene, kind, share, index in stills)
        if view is None:
            problems.append(f"{files.name}: it would make the report too large.")
        else:
            views.append(view)
            left -= view.size
    return views, problems


def draw(scene: CaseVolumes, kind: Kind, share: int, with_still: bool = False) -> CaseView | None:
    """Return one case in as many voxels as `share` bytes allow, None if they are too few."""
    answers = filter(None, [scene.truth, scene.real, *scene.outputs.values()])
    every = [*scene.inputs, *scene.channels, *answers]
    labels, images = ([v for v in every if v.kind == form] for form in ("labels", "image"))
    outlines = _fitted(labels, int(share * LABEL_SHARE) if images else share, QUALITY[kind])
    if outlines is None:
        return None
    pixels = _fitted(images, share - _bytes(outlines), QUALITY[kind])
    if pixels is None:
        return None
    place = {id(volume): n for n, volume in enumerate([*labels, *images])}
    counts = {name: _count(scene, name) for name in scene.outputs}
    compared = scene.truth or scene.real
    truth = scene.truth if scene.truth and scene.truth.kind == "labels" else None
    shape = (truth or scene.inputs[0]).array.shape
    cut = cut_at(shape, truth.array if truth else None)  # the place to open the case at
    data = {
        "case": scene.name,
        "kind": kind,
        "unit": scene.inputs[0].unit,
        "full": scene.inputs[0].full,
        "spacing": scene.inputs[0].spacing,
        "note": " ".join(_notes(every, outlines, pixels)),
        "start": [(at + 0.5) / size for at, size in zip(cut, shape, strict=True)],
        "volumes": outlines + pixels,
        "inputs": [place[id(volume)] for volume in scene.inputs],
        "channels": [place[id(volume)] for volume in (scene.inputs[0], *scene.channels)],
        "compared": None if compared is None else place[id(compared)],
        "truth": scene.truth is not None,
        "outputs": [None if v is None else place[id(v)] for v in scene.outputs.values()],
        "errors": [codes(scene, name) for name in scene.outputs],
        "counts": list(counts.values()),
        "movie": scene.inputs[0].movie,
        "links": [_links(scene, name) for name in scene.outputs],
    }
    picture = still(scene, kind) if with_still else None
    return CaseView(scene.name, data, counts, _bytes(outlines + pixels), picture)


def _links(scene: CaseVolumes, name: str) -> list[tuple[str, int, str, int]] | None:
    """Return the wrong links: letter, frame, side and number of the object; None where unknown."""
    sides = {"truth": scene.truth, "prediction": scene.outputs[name]}
    if name not in scene.links or None in sides.values():
        return None
    numbers = {
        side: {label: n for n, label in enumerate(volume.ids if volume else [], 1)}
        for side, volume in sides.items()
    }
    return [
        (LINKS[error.kind], error.frame, error.side, numbers[error.side][error.label])
        for error in scene.links[name]
        if error.label in numbers[error.side]
    ]


def _notes(
    every: Sequence[ShownVolume], outlines: Sequence[Entries], pixels: Sequence[Any]
) -> list[str]:
    """Return sentences on the grids that are shown."""
    sentences = []
    for title, kind, entries in (("Image", "image", pixels), ("Outlines", "labels", outlines)):
        volume = next((volume for volume in every if volume.kind == kind), None)
        if volume is None:
            continue
        whole = volume.full
        shape = entries[0]["shape"]
        axes = slice(volume.movie or whole[0] == 1, None)
        edges = [n * um / m for n, um, m in zip(whole, volume.spacing, shape, strict=True)]
        shown, true = (" x ".join(f"{e:.3g}" for e in of[axes]) for of in (edges, volume.spacing))
        lossy = ", compressed" if kind == "image" else ""
        size = f"{shown} {volume.unit}, downscaled from {true} {volume.unit}"
        sentences.append(f"{title} at {size if shape != whole else 'full resolution'}{lossy}.")
    return sentences


def _fitted(volumes: Sequence[ShownVolume], allowed: int, quality: int) -> list[Json] | None:
    """Return volumes encoded in at most so many bytes, None where no grid is coarse enough."""
    if not volumes:
        return []
    voxels = min(VOXELS, max(math.prod(volume.array.shape) for volume in volumes))
    while True:
        encoded = [_encoded(volume, voxels, quality) for volume in volumes]
        size = _bytes(encoded)
        if size <= allowed:
            return encoded
        if voxels <= SMALLEST:
            return None
        # Bytes of an image grow as its voxels, bytes of outlines with their 2/3rd power.
        power = 1.5 if volumes[0].kind == "labels" else 1.0
        voxels = max(SMALLEST, int(voxels * max(0.1, min(0.95, (allowed / size) ** power))))


def _encoded(volume: ShownVolume, voxels: int, quality: int) -> Json:
    """Return a volume as plain values on a grid of at most so many voxels."""
    array = shrunk(volume, voxels)
    entry = {"title": volume.title, "kind": volume.kind, "shape": array.shape}
    if volume.kind == "labels":
        runs, data = deflated(array)
        parents = {"parents": volume.parents} if volume.parents else {}
        return entry | {"ids": volume.ids, "runs": runs, "data": data, **parents}
    low, high = volume.limits
    return entry | {
        "columns": columns(array.shape),
        "low": low,
        "high": high,
        "source": sprite(array, quality),
    }


def _bytes(entries: Sequence[Entries]) -> int:
    """Return the size of encoded volumes, labels of six digits each."""
    return sum(
        len(entry.get("source", entry.get("data", ""))) + 8 * len(entry.get("ids", ()))
        for entry in entries
    )


def _count(scene: CaseVolumes, name: str) -> str:
    """Return how many objects an algorithm found, or that it has no output."""
    output = scene.outputs[name]
    match = scene.matches[name]
    if output is None:
        return "no valid output"
    if match is not None:
        return (
            f"{match.found} of {match.true} found, {len(match.missed)} missed, "
            f"{len(match.extra)} extra"
        )
    return f"{len(output.ids)} found" if output.kind == "labels" else ""
